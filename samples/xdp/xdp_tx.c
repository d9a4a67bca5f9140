// SPDX-License-Identifier: GPL-2.0
/* Sends every frame back where it came from. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "send_back.h"

SEC("xdp")
int xdp_tx(struct xdp_md *ctx)
{
	return send_back(ctx);
}

char _license[] SEC("license") = "GPL";
