#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# For a boot with swiotlb=force, where each mapping is a bounce buffer: pages need a
# sync for each use, and NAPI's own way through the cache, which has none, is closed.
# The tests are those of other boots.

cd "$(dirname "$0")/.." || exit
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh

plan 2

# Otherwise all the rest would pass for nothing.
bounced() {
	load_driver
	up
	check "bounce slots of the RX ring" $(($(slots) - START)) -gt "$(ring_pages)"
	remove_modules
}

START=$(slots)
try "each page is bounced" bounced
for script in e1000 xdp hook; do
	UPDOWNS=8 LOADS=5 again "$script"
done
nothing_loaded
try "no bounce buffer is left" no_more_slots
