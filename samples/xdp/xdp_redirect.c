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
#include "redirect.h"

SEC("xdp")
int xdp_redirect(struct xdp_md *ctx)
{
	return redirect();
}

char _license[] SEC("license") = "GPL";
