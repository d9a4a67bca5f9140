// SPDX-License-Identifier: GPL-2.0
/*
 * Cuts every frame to 42 bytes, the headers of a UDP packet, and sends it back where
 * it came from. That is less than Ethernet's shortest frame: a driver that does not
 * fill it up with zeroes, or fills it up with what was there, is found out.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "send_back.h"

SEC("xdp")
int xdp_short(struct xdp_md *ctx)
{
	if (bpf_xdp_adjust_tail(ctx, 42 - (int)(ctx->data_end - ctx->data)))
		return XDP_ABORTED;
	return send_back(ctx);
}

char _license[] SEC("license") = "GPL";
