#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Headers in buffers of their own: the 82576 under igb_rust, whose pages have payload alone then.

cd "$(dirname "$0")/.." || exit
export DRIVER=igb_rust CARD=0x10c9 PEER_DRIVER=e1000 QUEUES=1
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh

plan 6

flag() { ethtool --set-priv-flags "$(iface)" "split-headers-$1" "$2"; }

prepare() {
	load_driver
	up
	ethtool --show-priv-flags "$(iface)"
	flag 0 on
	eventually 30 pings
	ethtool --show-priv-flags "$(iface)" | grep -x 'split-headers-0 *: on'
	ping_peer
	in_peer ping -q -c 20 -i 0.02 -s 1400 "$ADDR"
	pool_clean
}

tcp() {
	local mtu
	for mtu in 1500 4148 9000; do
		ip link set "$(iface)" mtu $mtu
		ip -n peer link set "$PEER" mtu $mtu
		eventually 30 pings
		transfer 32
	done
	ethtool -S "$(iface)" | grep -v ': 0$'
	pool_clean
}

transfer() {
	local sum
	head -c "$1M" /dev/urandom >/tmp/sent
	sum=$(sha256sum </tmp/sent)
	socat -u TCP4-LISTEN:6001,reuseaddr OPEN:/tmp/got,creat,trunc &
	eventually 10 has_socket tcp 6001
	ip netns exec peer socat -u -b 65536 OPEN:/tmp/sent "TCP4:$ADDR:6001"
	wait %1
	[[ $(sha256sum </tmp/got) == "$sum" ]]
}

peer_up
try "interface" prepare
try "TCP" tcp
