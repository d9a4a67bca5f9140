#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Allocations that fail, on a kernel with fault injection: each single one of those
# that a system call makes. (At random, while packets arrive: shortage.sh.)

cd "$(dirname "$0")/.." || exit
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh
# shellcheck source=inject.sh
. tests/inject.sh
PCI=/sys/bus/pci/drivers/$DRIVER
STRIDE=5000 WITHOUT=''

plan 5

bound() { [[ -e $PCI/$DUT ]]; }

# sweep UNDO ARGUMENT...: has failnth(1) do it, with the first allocation failing, with the
# second, and so on, until none is left to fail. A call that failed has left nothing behind. From the
# STRIDEth on not each, for those are the pages of a ring.
sweep() {
	local undo=$1 nth result failed=0 survived=0
	shift
	ours "$WITHOUT"
	for ((nth = 1; nth < 5000; nth += nth < STRIDE ? 1 : nth / 10)); do
		result=$(./failnth "$nth" "$@")
		echo "faults: $1, allocation $nth: $result" >/dev/kmsg
		case $result in
		"complete ok") break ;;
		"fault ok") survived=$((survived + 1)) ;;
		"fault "*) failed=$((failed + 1)) ;;
		*) echo "allocation $nth: $result"; return 1 ;;
		esac
		"$undo" "$result" || { echo "after allocation $nth: $result"; return 1; }
	done
	[[ $result == "complete ok" ]]
	"$undo" "$result"
	off
	echo "# $((failed + survived)) of $((nth - 1)) allocations: without one the call failed $failed times, succeeded $survived times" >&3
	check "calls that failed" "$failed" -gt 0
}

undo_probe() {
	if [[ $1 == *ok ]]; then
		bound && has_iface || return
		echo "$DUT" >"$PCI/unbind"
	fi
	! bound && no_iface && all_unmapped
}

probe() {
	# There ACPI looks for the interrupt: hundreds of allocations, none of which is ours to unwind.
	local WITHOUT=acpi_pci_irq_enable
	ip link set "$(iface)" down
	echo "$DUT" >"$PCI/unbind"
	sweep undo_probe write "$PCI/bind" "$DUT"
	echo "$DUT" >"$PCI/bind"
	eventually 10 has_iface
}

undo_open() {
	if [[ $1 == *ok ]]; then ip link set "$(iface)" down; fi
	[[ $(<"/sys/class/net/$(iface)/operstate") == down ]] && all_unmapped
}

open() {
	local STRIDE=40
	ip link set "$(iface)" down
	sweep undo_open up "$(iface)"
	up
	ping_peer
}

# The interface stays up whatever fails, with one size or the other.
undo_rings() {
	local size=512
	if [[ $1 != *ok ]]; then size=256; fi
	[[ $(ring RX) == "$size" ]] || { echo "RX ring $(ring RX), should be $size"; return 1; }
	ethtool -G "$(iface)" rx 256 tx 256
	eventually 30 carrier
}

rings() {
	local STRIDE=40
	sweep undo_rings rings "$(iface)" 512
	ping_peer
}

exec 3>&1
peer_up
try "interface" load_quietly
try "probe, without each of its allocations" probe
try "ip link set up, without each of its allocations" open
try "ring sizes, without each of their allocations" rings
try "no mapping is left" remove_driver
