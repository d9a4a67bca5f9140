/* SPDX-License-Identifier: GPL-2.0 */
/* Out of the interface in entry 0 of the map; XDP_ABORTED while that is empty. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} tx_port SEC(".maps");

static __always_inline int redirect(void)
{
	return bpf_redirect_map(&tx_port, 0, XDP_ABORTED);
}
