// SPDX-License-Identifier: GPL-2.0
/* Ends like a program that failed: dropped, with the trace event xdp:xdp_exception. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int xdp_aborted(struct xdp_md *ctx)
{
	return XDP_ABORTED;
}

char _license[] SEC("license") = "GPL";
