#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A card with two queue pairs, a vector for each: QEMU's 82574L under two_queues.ko. The card chooses the
# receive queue by the sender's address.

cd "$(dirname "$0")/.." || exit
export DRIVER=two_queues CARD=0x10d3 PEER_DRIVER=e1000
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh

plan 7

# interrupts VECTOR: how many it has had.
interrupts() {
	awk -v name="-TxRx-$1\$" '$NF ~ name { for (i = 2; $i ~ /^[0-9]+$/; i++) n += $i } END { print n + 0 }' /proc/interrupts
}

# send_from ADDRESS COUNT: so many packets, whatever becomes of them.
send_from() { in_peer ping -q -c "$2" -i 0.005 -W 1 -I "$1" "$ADDR" || true; }
pings_from() { in_peer ping -q -c 1 -W 1 -I "$1" "$ADDR"; }

# probe: the interface, and which of the peer's addresses comes by which queue: in /tmp/from.0 and /tmp/from.1.
probe() {
	local n before queue
	load_driver
	up
	ping_peer
	# An answer would raise the interrupt of the queue that it is sent by.
	attach drop
	for ((n = 11; n < 19; n++)); do
		ip -n peer addr add "10.9.0.$n/24" dev "$PEER"
		ip neigh replace "10.9.0.$n" lladdr "$PEER_MAC" dev "$(iface)" nud permanent
		before=$(interrupts 1)
		send_from "10.9.0.$n" 10
		queue=$(($(interrupts 1) > before))
		echo "10.9.0.$n" >"/tmp/from.$queue"
	done
	detach
	cat /tmp/from.0 /tmp/from.1
}

# Each queue has a NAPI instance and an interrupt of its own, and a pool.
each_its_own() {
	local queue dev index napi
	dev=$(iface)
	index=$(<"/sys/class/net/$dev/ifindex")
	for queue in 0 1; do
		napi=$(of_netdev queue "ifindex=$index" "id=$queue" type=0 napi-id)
		check "NAPI instance of queue $queue" "$napi" -gt 0
		check "of its transmit queue" "$(of_netdev queue "ifindex=$index" "id=$queue" type=1 napi-id)" -eq "$napi"
		grep "^ *$(of_netdev napi "id=$napi" irq):.*$dev-TxRx-$queue\$" /proc/interrupts
	done
	check "pools" "$(grep -c ^pool "$DEBUGFS/pools")" -eq 2
}

# One queue is restarted; the other one does not lose a packet meanwhile.
restart_other() {
	local queue other
	insmod restart.ko
	all_counters >/tmp/before
	for queue in 0 1; do
		other=$((1 - queue))
		in_peer ping -q -c 400 -i 0.005 -I "$(</tmp/from.$other)" "$ADDR" >/tmp/ping &
		for _ in 1 2 3 4 5 6 7 8; do
			restart_one "$queue"
			sleep 0.2
		done
		wait $!
		cat /tmp/ping
		grep ' 0% packet loss' /tmp/ping
		eventually 10 pings_from "$(</tmp/from.$queue)"
	done
	all_counters >/tmp/after
	no_less
	rmmod restart
	pool_clean
}

# The verdicts of both queues.
xdp() {
	local before queue
	attach drop
	before=$(count rx_xdp_drop)
	for queue in 0 1; do send_from "$(</tmp/from.$queue)" 50; done
	eventually 10 more_than $((before + 99)) rx_xdp_drop
	attach tx
	before=$(count rx_xdp_tx)
	for queue in 0 1; do send_from "$(</tmp/from.$queue)" 50; done
	eventually 10 more_than $((before + 99)) rx_xdp_tx
	detach
	ping_peer
	pool_clean
}

# TCP over both queues at once.
tcp() {
	local queue
	for queue in 0 1; do
		socat -u "TCP4-LISTEN:600$queue,reuseaddr" "OPEN:/tmp/got.$queue,creat,trunc" &
	done
	head -c 4M /dev/urandom >/tmp/sent
	for queue in 0 1; do
		eventually 10 has_socket tcp "600$queue"
		ip netns exec peer socat -u OPEN:/tmp/sent "TCP4:$ADDR:600$queue,bind=$(</tmp/from.$queue)" &
	done
	for queue in 0 1; do eventually 120 cmp /tmp/sent "/tmp/got.$queue"; done
	pool_clean
}

# Rings of other sizes, down and up, under traffic of both queues.
all_of_them() {
	local size queue
	for queue in 0 1; do
		ip netns exec peer ping -f -l 8 -q -I "$(</tmp/from.$queue)" "$ADDR" &
	done
	for size in 80 1024 256; do
		ethtool -G "$(iface)" rx $size tx $size
		for queue in 0 1; do eventually 30 pings_from "$(</tmp/from.$queue)"; done
		ip link set "$(iface)" down
		up
		for queue in 0 1; do eventually 30 pings_from "$(</tmp/from.$queue)"; done
	done
	# And without a driver.
	remove_driver
	load_driver
	up
	eventually 30 pings
}

remove() {
	pool_clean
	remove_modules
}

peer_up
try "probe: a sender for each queue" probe
try "NAPI instance, interrupt and pool of each queue" each_its_own
try "one queue restarted: the other one loses nothing" restart_other
try "XDP on both queues" xdp
try "TCP over both queues" tcp
try "rings, down and up, unbound, under traffic" all_of_them
try "removal" remove
