// SPDX-License-Identifier: GPL-2.0
/*
 * Takes all of the buffer that a packet for UDP port 7 is in: moves its start and its
 * end as far as the kernel lets it, writes 0xa5 to each byte, and drops it. Others pass:
 * a driver whose buffers overlap is found out, for one of those is changed.
 *
 * taken[0] counts the packets, taken[1] is how far the start went the last time,
 * taken[2] how many bytes were written.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define CHUNK 16

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 3);
	__type(key, __u32);
	__type(value, __u64);
} taken SEC(".maps");

static __always_inline void note(__u32 what, __u64 value)
{
	bpf_map_update_elem(&taken, &what, &value, BPF_ANY);
}

SEC("xdp")
int xdp_fill(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);
	static const __u8 pattern[CHUNK] = {
		[0 ... CHUNK - 1] = 0xa5,
	};
	__u32 count = 0, head = 0, len, at, step;
	__u64 *packets;
	int i;

	if ((void *)(udp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) ||
	    ip->protocol != IPPROTO_UDP || udp->dest != bpf_htons(7))
		return XDP_PASS;
	for (step = 2048; step; step /= 2)
		if (!bpf_xdp_adjust_head(ctx, -(int)step))
			head += step;
	for (step = 2048; step; step /= 2)
		bpf_xdp_adjust_tail(ctx, step);

	len = ctx->data_end - ctx->data;
	for (i = 0, at = 0; i < 4096 / CHUNK && at + CHUNK <= len; i++, at += CHUNK)
		if (bpf_xdp_store_bytes(ctx, at, (void *)pattern, CHUNK))
			return XDP_ABORTED;
	if (len >= CHUNK && bpf_xdp_store_bytes(ctx, len - CHUNK, (void *)pattern, CHUNK))
		return XDP_ABORTED;

	packets = bpf_map_lookup_elem(&taken, &count);
	if (packets)
		*packets += 1;
	note(1, head);
	note(2, len);
	return XDP_DROP;
}

char _license[] SEC("license") = "GPL";
