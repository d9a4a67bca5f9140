// SPDX-License-Identifier: GPL-2.0
/*
 * Programs that take packets in several buffers. To load one:
 *
 *	ip link set dev $NIC xdpdrv obj samples/xdp/xdp_frags.o program xdp_frags_pass
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_helpers.h>
#include "redirect.h"
#include "send_back.h"

SEC("xdp.frags")
int xdp_frags_pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("xdp.frags")
int xdp_frags_drop(struct xdp_md *ctx)
{
	return XDP_DROP;
}

SEC("xdp.frags")
int xdp_frags_tx(struct xdp_md *ctx)
{
	return send_back(ctx);
}

/* Back where it came from, without its last 5,000 bytes. */
SEC("xdp.frags")
int xdp_frags_cut(struct xdp_md *ctx)
{
	if (bpf_xdp_adjust_tail(ctx, -5000))
		return XDP_ABORTED;
	return send_back(ctx);
}

/* With 100 bytes more at its end, which are zeroes. */
SEC("xdp.frags")
int xdp_frags_grow(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_tail(ctx, 100) ? XDP_ABORTED : XDP_PASS;
}

/* As xdp_redirect. */
SEC("xdp.frags")
int xdp_frags_redirect(struct xdp_md *ctx)
{
	return redirect();
}

char _license[] SEC("license") = "GPL";
