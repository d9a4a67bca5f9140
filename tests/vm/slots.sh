#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# For a boot with swiotlb=2048,force, where each mapping is a bounce buffer, and the
# whole machine has 2,048 slots for them, two a page: fewer than the pool's limit asks
# for. Whoever hoards pages hoards slots, and others need some.

cd "$(dirname "$0")/.." || exit
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh

plan 4

# Otherwise the rest would pass for nothing.
few() {
	check "bounce slots" "$(<"$SLOTS/io_tlb_nslabs")" -eq 2048
	load_driver
	up
	half
	check "bounce slots of the RX ring" $(($(slots) - START)) -gt $((2 * $(ring_pages)))
	ping_peer
}

# half: no pool takes more than half of what the slots hold; not one that comes after another, either.
half() { check "pages that may be owned" "$(max_owned)" -eq 512; }

again() {
	ip link set "$(iface)" down
	up
	half
	ethtool -G "$(iface)" rx 384
	half
	fails ethtool -G "$(iface)" rx 4096
	check "RX ring" "$(ring RX)" -eq 384
	half
	ethtool -G "$(iface)" rx 256
	ping_peer
}

# refused: how many buffers the peer's NIC could not map.
refused() { in_peer ethtool -S "$PEER" | awk '/[rt]x_dma_failed:/ { n += $2 } END { print n }'; }

state() {
	echo "$(slots) slots in use; pages: $(outstanding) outstanding, $(owned) owned of $(max_owned)"
	echo "the peer's NIC was refused $(refused) times"
	ethtool -S "$(iface)" | grep -v ': 0$'
	return 1
}

# Nobody lacks a slot while the socket is there, and nothing of it stays when it is closed.
hoarder() {
	hold 5001
	flood_start 5001
	eventually 30 more_than 1000 rx_pp_pressure || state
	eventually 30 pings || state
	traffic_stop
	ping_peer 20
	check "times that the peer's NIC was refused" "$(refused)" -eq 0
	check "pages outstanding" "$(outstanding)" -gt 100
	end_hold
	pool_clean
	ping_peer 20
}

remove() {
	remove_modules
	rmmod e1000e
	no_more_slots
}

START=$(slots)
peer_up
try "few bounce buffers" few
try "the next pools, and one for which there is no room" again
try "a socket hoards pages, and nobody lacks bounce buffers" hoarder
try "removal: no bounce buffer is left" remove
