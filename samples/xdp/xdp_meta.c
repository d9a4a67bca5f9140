// SPDX-License-Identifier: GPL-2.0
/*
 * Puts four bytes of metadata in front of every frame and lets it through; tc looks
 * what the stack gets:
 *
 *	tc filter add dev $NIC ingress bpf direct-action obj samples/xdp/xdp_meta.o sec tc
 *
 * seen[0] counts the packets that have their metadata, seen[1] those without: a
 * driver that loses it on one of its ways to the stack is found out.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#define MARK 0xcafe

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

SEC("xdp")
int xdp_meta(struct xdp_md *ctx)
{
	__u32 *meta;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*meta)))
		return XDP_ABORTED;
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > (void *)(long)ctx->data)
		return XDP_ABORTED;
	*meta = MARK;
	return XDP_PASS;
}

SEC("tc")
int tc_meta(struct __sk_buff *skb)
{
	__u32 *meta = (void *)(long)skb->data_meta, kind = 0;
	__u64 *count;

	if ((void *)(meta + 1) > (void *)(long)skb->data || *meta != MARK)
		kind = 1;
	count = bpf_map_lookup_elem(&seen, &kind);
	if (count)
		__sync_fetch_and_add(count, 1);
	return TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
