#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Allocations that fail, on a kernel with fault injection: each single one of those
# that a system call makes, and at random below the modules while packets arrive.
# PACKETS is for each rate of failures.

cd "$(dirname "$0")/.." || exit
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh
# shellcheck source=inject.sh
. tests/inject.sh
PACKETS=${PACKETS:-400000}
PCI=/sys/bus/pci/drivers/$DRIVER
STRIDE=5000 WITHOUT=''

plan 9

prepare() {
	quietly
	load_driver
	up
	settle
}

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

# under_faults PROBABILITY INTERVAL: packets arrive while rings are resized.
under_faults() {
	local dev before dropped now names=(rx_drop_limit rx_drop_no_page rx_drop_no_skb) sizes=0 failed sender
	dev=$(iface)
	before=$(stat_of rx_packets) dropped=$(stat_of rx_dropped)
	below "$1" "$2"
	ip netns exec peer bash samples/pktgen/send.sh -i "$PEER" -m "$MAC" -n "$PACKETS" -s 1000 -b 1 >/tmp/sent &
	sender=$!
	while kill -0 $sender; do
		# Refused for want of memory, now and then; then it stays as it was.
		if ethtool -G "$dev" rx $((80 + RANDOM % 50 * 8)); then sizes=$((sizes + 1)); fi
		# After each of these QEMU's device is deaf for a second.
		sleep 5
	done 2>/dev/null
	wait $sender
	failed=$(injected)
	off
	cat /tmp/sent
	# A reset that found no memory for its rings leaves the interface down.
	up
	settle
	now=$(stat_of rx_packets)
	echo "# 1/$((100 * $2 / $1)): $failed allocations failed, $((now - before)) packets received, dropped for want of" \
		"$(for n in "${names[@]}"; do echo -n "${n#rx_drop_} $(count "$n"), "; done)rings resized $sizes times" >&3
	echo $((now - before)) >>/tmp/received
	check "allocations that failed" "$failed" -gt 0
	check "packets dropped" $(($(stat_of rx_dropped) - dropped)) -gt 0
	check "rings resized" "$sizes" -gt 0
	ethtool -G "$dev" rx 256
	ping_peer
	pool_clean
}

# A million, when PACKETS is what it is by default.
enough() {
	local n=0 packets
	while read -r packets; do n=$((n + packets)); done </tmp/received
	echo "# $n packets in all" >&3
	check "packets in all" "$n" -ge $((PACKETS * 5 / 2))
}

exec 3>&1
peer_up
modprobe pktgen
try "interface" prepare
try "probe, without each of its allocations" probe
try "ip link set up, without each of its allocations" open
try "ring sizes, without each of their allocations" rings
try "packets, while one allocation in 2 fails" under_faults 50 1
try "packets, while one allocation in 10 fails" under_faults 10 1
try "packets, while one allocation in 511 fails" under_faults 100 511
try "packets received" enough
try "no mapping is left" remove_driver
