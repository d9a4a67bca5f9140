// SPDX-License-Identifier: GPL-2.0
/*
 * Cuts every frame to 42 bytes, the headers of a UDP packet, and sends it back where
 * it came from. That is less than Ethernet's shortest frame: a driver that does not
 * fill it up with zeroes, or fills it up with what was there, is found out.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int xdp_short(struct xdp_md *ctx)
{
	unsigned char dest[ETH_ALEN];
	struct ethhdr *eth;

	if (bpf_xdp_adjust_tail(ctx, 42 - (int)(ctx->data_end - ctx->data)))
		return XDP_ABORTED;
	eth = (void *)(long)ctx->data;
	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	__builtin_memcpy(dest, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, dest, ETH_ALEN);
	return XDP_TX;
}

char _license[] SEC("license") = "GPL";
