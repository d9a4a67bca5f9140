// SPDX-License-Identifier: GPL-2.0
/* Asks what the card has said of each packet, and counts: see tests/vm/queues.sh. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

enum xdp_rss_hash_type { XDP_RSS_TYPE_NONE };

extern int bpf_xdp_metadata_rx_hash(const struct xdp_md *ctx, __u32 *hash,
				    enum xdp_rss_hash_type *type) __ksym;
extern int bpf_xdp_metadata_rx_vlan_tag(const struct xdp_md *ctx, __be16 *proto,
					__u16 *tci) __ksym;
extern int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *ctx, __u64 *stamp) __ksym;

/* By the kind of their hash, of which there are 9 bits; those that have none are 511. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 512);
	__type(key, __u32);
	__type(value, __u64);
} kinds SEC(".maps");

/* Without a tag; with one; the last one with its protocol. Then a timestamp's error. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} tags SEC(".maps");

static void add(void *map, __u32 key)
{
	__u64 *n = bpf_map_lookup_elem(map, &key);

	if (n)
		__sync_fetch_and_add(n, 1);
}

static void set(void *map, __u32 key, __u64 value)
{
	bpf_map_update_elem(map, &key, &value, BPF_ANY);
}

SEC("xdp.frags")
int xdp_metadata(struct xdp_md *ctx)
{
	enum xdp_rss_hash_type kind = 0;
	__u32 hash = 0;
	__be16 proto = 0;
	__u64 stamp = 0;
	__u16 tci = 0;

	if (bpf_xdp_metadata_rx_hash(ctx, &hash, &kind))
		kind = 511;
	add(&kinds, kind);
	if (bpf_xdp_metadata_rx_vlan_tag(ctx, &proto, &tci)) {
		add(&tags, 0);
	} else {
		add(&tags, 1);
		set(&tags, 2, (__u32)proto << 16 | tci);
	}
	set(&tags, 3, -bpf_xdp_metadata_rx_timestamp(ctx, &stamp));
	/* The queue that the card has chosen by the low bit of the hash. */
	return kind != 511 && (hash & 1) != ctx->rx_queue_index ? XDP_DROP : XDP_PASS;
}

char _license[] SEC("license") = "GPL";
