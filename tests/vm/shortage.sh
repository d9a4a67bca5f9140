#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Packets arrive and rings are resized while the allocations below the modules fail at
# random, on a kernel with fault injection. PACKETS have to arrive at each rate of failures:
# a million in all.

cd "$(dirname "$0")/.." || exit
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh
# shellcheck source=inject.sh
. tests/inject.sh
PACKETS=${PACKETS:-340000}

plan 5

# send_until PACKETS: as many as it takes until so many were received. QEMU's device is deaf for a second
# after each change of the rings, and what is sent then is lost.
send_until() {
	local end=$((SECONDS + 600 * RPP_SLOW))
	while (($(stat_of rx_packets) < $1)); do
		((SECONDS < end)) || return
		pktgen $((PACKETS / 10)) 1000 8 || return
	done
}

# under_faults PROBABILITY INTERVAL: packets arrive while rings are resized.
under_faults() {
	local dev before dropped now names=(rx_drop_limit rx_drop_no_page rx_drop_no_skb) sizes=0 failed sender
	dev=$(iface)
	before=$(stat_of rx_packets) dropped=$(stat_of rx_dropped)
	below "$1" "$2"
	send_until $((before + PACKETS)) >/tmp/sent &
	sender=$!
	while kill -0 $sender; do
		if ethtool -G "$dev" rx $((80 + RANDOM % 50 * 8)); then
			sizes=$((sizes + 1))
			sleep 5
		else
			# For want of memory, at 1/2 nearly always; it stays as it was.
			sleep 0.5
		fi
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
	check "packets received" $((now - before)) -ge "$PACKETS"
	check "allocations that failed" "$failed" -gt 0
	check "packets dropped" $(($(stat_of rx_dropped) - dropped)) -gt 0
	check "rings resized" "$sizes" -gt 0
	ethtool -G "$dev" rx 256
	ping_peer
	pool_clean
}

exec 3>&1
peer_up
modprobe pktgen
try "interface" load_quietly
try "packets, while one allocation in 2 fails" under_faults 50 1
try "packets, while one allocation in 10 fails" under_faults 10 1
try "packets, while one allocation in 511 fails" under_faults 100 511
try "no mapping is left" remove_driver
