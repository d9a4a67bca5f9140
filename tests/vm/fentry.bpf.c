// SPDX-License-Identifier: GPL-2.0
/* A debugger that watches one of the functions that the put_page() hook needs. */
#define SEC(name) __attribute__((section(name), used))

SEC("fentry/__folio_put")
int watch(void *ctx)
{
	return 0;
}

char license[] SEC("license") = "GPL";
