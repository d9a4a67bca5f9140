#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The driver on buffers that are not our pool's: the kernel's page pool, and pages that are mapped
# one by one. The tests are those of other boots; what only our pool can do is skipped.

cd "$(dirname "$0")/.." || exit
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh

plan 4

# The parameter says what is chosen, and refuses what is not there.
parameter() {
	load_driver
	grep -x rust /sys/module/rust_net/parameters/buffers
	fails bash -c "echo slab >/sys/module/rust_net/parameters/buffers"
	grep -x rust /sys/module/rust_net/parameters/buffers
	remove_modules
}

# By the kernel's own netlink interface: the pool, and whose it is. By ethtool: that it works.
kernel_pool() {
	local BUFFERS=kernel
	load_driver
	up
	settle
	ping_peer 20
	check "pools of ours" "$(grep -c ^pool "$DEBUGFS/pools")" -eq 0
	check rx_pp_alloc_fast "$(count rx_pp_alloc_fast)" -gt 0
	remove_modules
}

# A BPF program is attached to one of the functions that the hook needs: the driver works nevertheless, and says
# what it does without. The hook is back when the program is gone.
no_hook() {
	[[ -e /sys/kernel/btf/vmlinux ]] || skip "BPF programs need BTF"
	dmesg -C
	bpftool prog load fentry.o /sys/fs/bpf/fentry autoattach
	load_driver
	dmesg | grep "rust_page_pool: __folio_put() cannot be hooked: a BPF program"
	dmesg | grep "$DUT: no put_page() hook: using the kernel's page pool"
	up
	settle
	ping_peer 20
	fails grep ^pool "$DEBUGFS/pools"
	remove_modules
	rm /sys/fs/bpf/fentry
	load_driver
	up
	ping_peer
	check "pools of ours" "$(grep -c ^pool "$DEBUGFS/pools")" -eq 1
	remove_modules
}

# As above, but the hook is there first: the kernel refuses the program, and says so.
hook_first() {
	[[ -e /sys/kernel/btf/vmlinux ]] || skip "BPF programs need BTF"
	load_driver
	bpftool prog load fentry.o /sys/fs/bpf/fentry autoattach 2>&1 | tee /tmp/bpf
	grep "failed to attach" /tmp/bpf
	rm -f /sys/fs/bpf/fentry
	remove_modules
}

recover() { rmmod e1000_rust rust_net rust_page_pool; }

peer_up
try "the parameter" parameter
try "no hook: the kernel's page pool" no_hook
try "hook before a BPF program" hook_first
try "no pool of ours, and the kernel's counters" kernel_pool
for buffers in kernel none; do
	for script in e1000 xdp; do
		BUFFERS=$buffers UPDOWNS=8 LOADS=5 again "$script"
	done
done
