// SPDX-License-Identifier: GPL-2.0
/* A debugger that watches one of the functions that the put_page() hook needs. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("fentry/__folio_put")
int watch(void *ctx)
{
	return 0;
}

char _license[] SEC("license") = "GPL";
