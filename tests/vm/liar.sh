#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A device that lies: descriptors are written by tests/modules/liar, COUNT of them in all.
# The driver may lose packets, and nothing else.

cd "$(dirname "$0")/.." || exit
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh
COUNT=${COUNT:-10000000}
SEED=${SEED:-$RANDOM}

# One of the cards has buffers for headers.
if [[ $CARD == 0x10c9 ]]; then HEADERS=3; else HEADERS=0; fi

plan $((10 + HEADERS))
echo "# SEED=$SEED"

prepare() {
	load_driver
	up
}

liar() { cat "/sys/module/liar/parameters/$1"; }

# fresh: the interface with rings from the start, where the liar expects them to be.
fresh() {
	[[ ! -e /sys/module/liar ]] || rmmod liar
	ip link set "$(iface)" down
	up
	sleep 0.5
}

# in_order PERCENT: so many of COUNT, one after the other. Each counts, once.
in_order() {
	local packets bytes errors
	fresh
	packets=$(stat_of rx_packets) bytes=$(stat_of rx_bytes) errors=$(stat_of rx_errors)
	insmod liar.ko device="$CARD" count=$((COUNT * $1 / 100)) seed="$SEED" frame="${2:-0}"
	echo "packets: $(liar packets), $(($(stat_of rx_packets) - packets)) counted;" \
		"errors: $(liar errors), $(($(stat_of rx_errors) - errors)) counted"
	check "packets counted" $(($(stat_of rx_packets) - packets)) -eq "$(liar packets)"
	check "bytes counted" $(($(stat_of rx_bytes) - bytes)) -eq "$(liar bytes)"
	check "errors counted" $(($(stat_of rx_errors) - errors)) -eq "$(liar errors)"
	rmmod liar
	if has_pool; then check "pages owned" "$(owned)" -le "$(max_owned)"; fi
}

# A page for each packet, so each has room for 2,048 bytes, or 3,072.
in_order_whole() {
	ip link set "$(iface)" mtu 1504
	in_order "$1"
	ip link set "$(iface)" mtu 1500
}

# And of several buffers.
in_order_jumbo() {
	ip link set "$(iface)" mtu 9000
	[[ ! ${2-} ]] || attach_frags "$2"
	in_order "$1" 9022
	detach
	ip link set "$(iface)" mtu 1500
}

in_order_xdp() {
	attach "$1"
	in_order "$2"
	detach
}

# apart COMMAND...: with headers in buffers of their own, of which the device says how long they are.
apart() {
	ethtool --set-priv-flags "$(iface)" split-headers-0 on
	"$@"
	ethtool --set-priv-flags "$(iface)" split-headers-0 off
}

# Anywhere at any time, while packets are sent as well. Many are overwritten before the driver comes by,
# but it has to have dealt with every SHAREth: as a packet, or as an error.
anywhere() {
	local sender packets errors sent count=$((COUNT * 3 / 10))
	fresh
	packets=$(stat_of rx_packets) errors=$(stat_of rx_errors) sent=$(stat_of tx_packets)
	ping -f -q -s 1000 "$PEER_ADDR" &
	sender=$!
	insmod liar.ko device="$CARD" exact=0 count=$count seed="$SEED" pause=$PAUSE
	packets=$(($(stat_of rx_packets) - packets)) errors=$(($(stat_of rx_errors) - errors))
	sent=$(($(stat_of tx_packets) - sent))
	rmmod liar
	kill "$sender"
	wait "$sender" || true
	echo "# of $count write-backs anywhere: $packets packets, $errors errors; $sent packets sent meanwhile" >&3
	check "packets" "$packets" -gt $((count / SHARE))
	check "errors" "$errors" -gt $((count / SHARE))
	check "packets sent" "$sent" -gt 100
	if has_pool; then check "pages owned" "$(owned)" -le "$(max_owned)"; fi
}
SHARE=40
PAUSE=$((RPP_SLOW == 1 ? 1 : 100))

# What is left of it when it is over.
clean() {
	fresh
	pool_clean
	ip link set "$(iface)" down
	all_unmapped
	unload_driver
}

exec 3>&1
try "interface" prepare
try "in order, packets to the stack" in_order 20
try "in order, packets to the stack, whole pages" in_order_whole 10
try "in order, packets in several buffers to the stack" in_order_jumbo 10
try "in order, packets in several buffers, XDP_TX" in_order_jumbo 10 tx
try "in order, XDP_DROP" in_order_xdp drop 40
try "in order, XDP_TX" in_order_xdp tx 10
try "anywhere, at any time" anywhere
if ((HEADERS)); then
	try "in order, headers apart" apart in_order 20
	try "in order, headers apart, in several buffers" apart in_order_jumbo 10
	try "anywhere, headers apart" apart anywhere
fi
try "the interface works again" in_order 1
try "all pages are back, no mapping is left" clean
if [[ $CARD == 0x100e ]]; then
	COUNT=$((COUNT / 4)) DRIVER=igb_rust CARD=0x10c9 QUEUES=1 again liar
fi
