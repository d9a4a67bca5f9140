#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Another kernel by kexec, under a flood: the cards do nothing when it comes, and its drivers work. Both kernels run this.
# The peer is the first NIC: what comes first on the bus is shut down last, so it sends until both cards are.

cd "$(dirname "$0")/.." || exit
export DRIVER=igb_rust CARD=0x10c9 PEER_DRIVER=e1000e
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh
PEER_MAC=52:54:00:00:00:01 MAC=52:54:00:00:00:02
OTHER=$(of_device 0x100e)
OTHER_ADDR=10.9.0.3 OTHER_MAC=52:54:00:00:00:03

# other_up: e1000_rust's interface, in a namespace of its own as well.
other_up() {
	insmod e1000_rust.ko
	ip netns add other
	ip link set "$(basename "/sys/bus/pci/devices/$OTHER/net/"*)" netns other name other
	ip -n other addr add "$OTHER_ADDR/24" dev other
	ip -n other link set other up
	ip -n peer neigh replace "$OTHER_ADDR" lladdr "$OTHER_MAC" dev "$PEER" nud permanent
	eventually 30 in_peer ping -q -c 1 -W 1 "$OTHER_ADDR"
}

both_up() {
	load_driver
	up
	ping_peer
	other_up
}

# The programs of this kernel are those of the next one.
next_kernel() {
	(cd / && find . -xdev ! -path './rpp/out/*' | cpio -o -H newc >/tmp/initrd)
	kexec -l "$VMLINUZ" --initrd=/tmp/initrd --command-line="$(</proc/cmdline) rpp.second"
	rm /tmp/initrd
}
VMLINUZ=vmlinuz.unsigned

# still CARD: it receives nothing, by its register for that, RCTL. No driver has it yet.
still() {
	local bar command
	read -r bar _ <"/sys/bus/pci/devices/$1/resource"
	command=$(setting "$1")
	echo "$1: command register $command"
	# The bus may pass reads to it.
	check "memory space" $((command & 2)) -eq 2
	check "RCTL.EN" $(($(devmem $((bar + 0x100)) 32) & 2)) -eq 0
}
# setting CARD: its command register.
setting() { hexdump -s 4 -n 2 -e '1/2 "%d"' "/sys/bus/pci/devices/$1/config"; }
cards_still() {
	still "$DUT"
	still "$OTHER"
}

if ! grep -q rpp.second /proc/cmdline; then
	plan 3
	peer_up
	try "both cards" both_up
	try "the next kernel" next_kernel
	try "frames go round" go_round
	finish
	trap - EXIT
	((failures)) && exit 1
	# And the other card gets as many as the peer can send.
	in_peer socat -u -b 1400 OPEN:/dev/zero "UDP4-SENDTO:$OTHER_ADDR:7" &
	sleep 1
	kexec -e
fi
plan 2
try "the cards are still in the next kernel" cards_still
peer_up
try "both cards, in the next kernel" both_up
