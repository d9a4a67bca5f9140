// SPDX-License-Identifier: GPL-2.0
/*
 * Sends every frame back, to an address that no NIC has: what the bench measures,
 * so that the original sender does not have to receive what it sent.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int xdp_tx_nobody(struct xdp_md *ctx)
{
	static const unsigned char nobody[ETH_ALEN] = {
		0x52, 0x54, 0x00, 0x00, 0x00, 0x99,
	};
	struct ethhdr *eth = (void *)(long)ctx->data;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	__builtin_memcpy(eth->h_source, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, nobody, ETH_ALEN);
	return XDP_TX;
}

char _license[] SEC("license") = "GPL";
