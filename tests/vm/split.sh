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

# mapped FAMILY: what upstream's tcp_mmap receives over it is right, mapped, and home again.
mapped() {
	local family=$1 addr=$ADDR home before
	ip link set "$(iface)" mtu 4168
	ip -n peer link set "$PEER" mtu 4168
	eventually 30 pings
	[[ $family == 4 ]] || addr="$(ip -6 -o addr show dev "$(iface)" scope link | sed -n 's/.*inet6 \([^/]*\).*/\1/p')%$PEER"
	before=$(count rx_pp_unmapped)
	socat -u EXEC:"./tcp_mmap -$family -s -z -i -M 4108",pty,stderr STDOUT >/tmp/mmap &
	eventually 10 has_listener
	in_peer ./tcp_mmap -"$family" -i -H "$addr" -M 4108
	sleep 1
	kill %1
	wait || true
	cat /tmp/mmap >&3
	ethtool -S "$(iface)" | grep -v ': 0$'
	[[ $BUFFERS != rust ]] || cat $DEBUGFS/pools >&3; ethtool -S "$(iface)" | grep rx_pp >&3
	pool_clean
}
has_listener() { grep -q ':2253 ' /proc/net/tcp /proc/net/tcp6; }
exec 3>&1
try "tcp_mmap over IPv4" mapped 4
