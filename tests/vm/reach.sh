#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# RAM that the device cannot address, and no IOMMU: the kernel would copy each
# packet through a bounce buffer. The pool takes its pages from where the device
# reaches them. (What is sent lies anywhere, and has slots until it is sent.)

cd "$(dirname "$0")/.." || exit
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh

plan 5

# Without these nothing here could fail.
machine() {
	grep "^ *[1-9a-f][0-9a-f]\{8,\}-.* : System RAM" /proc/iomem
	[[ ! -e /sys/bus/pci/devices/$DUT/iommu_group ]]
	check "bounce slots" "$(<"$SLOTS/io_tlb_nslabs")" -gt 0
}

interface() {
	load_driver
	up
	ping_peer
	no_more_slots
}

# What was sent was bounced, but no page of the pool was: its limit is what it was made with.
largest_rings() {
	ethtool -G "$(iface)" rx 4096 tx 4096
	ping_peer
	no_more_slots
	check "pages that may be owned" "$(max_owned)" -eq $((2 * 4096 + 2048))
}

# The socket has pages that never come back, the ring new ones for them.
hoarder() {
	hold 5001
	flood_start 5001
	eventually 60 more_than 1000 rx_pp_pressure
	traffic_stop
	settle
	check "pages given away" $(($(outstanding) + $(ring_pages))) -gt $(($(max_owned) * 70 / 100))
	no_more_slots
	end_hold
	pool_clean
	no_more_slots
}

remove() {
	remove_modules
	no_more_slots
}

peer_up
START=$(slots)
try "RAM out of reach, no IOMMU" machine
try "interface up: no bounce buffer" interface
try "largest rings: no bounce buffer" largest_rings
try "a socket that hoards: no bounce buffer" hoarder
try "removal" remove
