// SPDX-License-Identifier: GPL-2.0
/*
 * Sends every frame out of the interface in entry 0 of the map, unchanged:
 *
 *	bpftool map update name tx_port key 0 0 0 0 value $(printf '%d 0 0 0' $IFINDEX)
 *
 * An empty entry makes it XDP_ABORTED.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} tx_port SEC(".maps");

SEC("xdp")
int xdp_redirect(struct xdp_md *ctx)
{
	return bpf_redirect_map(&tx_port, 0, XDP_ABORTED);
}

char _license[] SEC("license") = "GPL";
