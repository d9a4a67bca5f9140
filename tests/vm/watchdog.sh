#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A card that stops sending: the core's watchdog sees it, and the driver resets it. In the ring of the stack, and in
# the one that XDP has for itself: the 82576, and the 82540EM, which has one for both.

cd "$(dirname "$0")/.." || exit
export DRIVER=${DRIVER:-igb_rust} CARD=${CARD:-0x10c9} PEER_DRIVER=${PEER_DRIVER:-e1000} QUEUES=${QUEUES-1}
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh
# The first NIC is the 82576, and the last one has a peer of its own.
if [[ $CARD == 0x100e ]]; then MAC=52:54:00:00:00:02 PEER_MAC=52:54:00:00:00:03; fi
# Transmit control.
TCTL=0x400

# An address that a rule is about.
OWN=52:54:00:0a:00:01
# (One of the cards has rules.)
if [[ $CARD == 0x10c9 ]]; then RULES=1; else RULES=0; fi

plan $((4 + RULES))

prepare() {
	[[ -d /sys/module/poke ]] || insmod poke.ko
	load_driver
	up
	ping_peer
}

# jam QUEUE: (a regular expression) nothing is sent any more, until the watchdog says so of that queue.
jam() {
	local dev before
	dev=$(iface)
	before=$(timeouts "$dev" "$1")
	echo "$DUT $TCTL 0" >/sys/module/poke/parameters/register
	eventually 25 timed_out "$dev" "$1" "$before"
}
timeouts() { dmesg | grep -c "$1: NETDEV WATCHDOG: .*: transmit queue $2 timed out" || true; }
timed_out() { (($(timeouts "$1" "$2") > $3)); }

# jam_stack QUEUE: with packets of the stack, until it sends again.
jam_stack() {
	ping -f -q "$PEER_ADDR" &
	jam "$1"
	kill %1
	wait || true
	eventually 30 pings
}

stack() {
	jam_stack 0
	pool_clean
}

xdp() {
	local sent queue=0
	# The first one beyond those that the core may use.
	[[ $DRIVER != igb_rust ]] || queue=$(ethtool -l "$(iface)" | awk '/Combined/ { print $2; exit }')
	attach tx
	flood_start 7
	eventually 10 sends_back 0
	jam "$queue"
	sent=$(count rx_xdp_tx)
	eventually 30 sends_back "$sent"
	traffic_stop
	detach
	settle
	ping_peer
	pool_clean
}
# sends_back COUNT: more than a ring holds, since there were so many.
sends_back() { (($(count rx_xdp_tx) > $1 + 1000)); }

# A rule is still in force after a reset.
rule() {
	local dev
	dev=$(iface)
	ethtool -L "$dev" combined 2
	ethtool -N "$dev" flow-type ether dst $OWN action 1
	eventually 30 pings
	by_rule
	jam_stack '[01]'
	ethtool -n "$dev" | grep -i "Dest MAC addr: $OWN"
	by_rule
	ethtool -N "$dev" delete 0
	ethtool -L "$dev" combined 1
	eventually 30 pings
	pool_clean
}
# by_rule: what is for that address comes by queue 1.
by_rule() {
	local before
	before=$(of_queue 1)
	ip -n peer neigh replace 10.9.0.99 lladdr $OWN dev "$PEER" nud permanent
	in_peer ping -q -c 20 -i 0.01 -W 0.3 10.9.0.99 || true
	check "frames by queue 1" $(($(of_queue 1) - before)) -ge 20
}

peer_up
try "interface" prepare
try "the stack's ring" stack
try "XDP's ring" xdp
if ((RULES)); then try "a rule stays over a reset" rule; fi
try "removal" remove_modules
if [[ $CARD != 0x100e ]]; then
	DRIVER=e1000_rust CARD=0x100e PEER_DRIVER=e1000e QUEUES='' again watchdog
fi
