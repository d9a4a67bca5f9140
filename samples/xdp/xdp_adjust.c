// SPDX-License-Identifier: GPL-2.0
/*
 * Moves the start of the frame 14 bytes into the headroom and gives it an Ethernet
 * header of its own there, then passes it on: a driver that builds its skb
 * from where the frame was, not from where the program left it, is found out.
 * The new header's type is ETH_P_802_EX1 (0x88b5, for experiments).
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int xdp_adjust(struct xdp_md *ctx)
{
	struct ethhdr *outer, *inner;

	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(*outer)))
		return XDP_ABORTED;
	outer = (void *)(long)ctx->data;
	inner = outer + 1;
	if ((void *)(inner + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	__builtin_memcpy(outer, inner, sizeof(*outer));
	outer->h_proto = __builtin_bswap16(0x88b5);
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
