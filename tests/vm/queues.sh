#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A card with two queue pairs, a vector for each: the 82576 under igb_rust. It chooses the receive queue by a hash
# of the flow.

cd "$(dirname "$0")/.." || exit
export DRIVER=igb_rust CARD=0x10c9 PEER_DRIVER=e1000
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh
# shellcheck source=inject.sh
. tests/inject.sh

plan 14

# interrupts VECTOR: how many it has had.
interrupts() {
	awk -v name="-TxRx-$1\$" '$NF ~ name { for (i = 2; $i ~ /^[0-9]+$/; i++) n += $i } END { print n + 0 }' /proc/interrupts
}

# send_from ADDRESS COUNT: so many packets, whatever becomes of them.
send_from() { in_peer ping -q -c "$2" -i 0.005 -W 1 -I "$1" "$ADDR" || true; }
pings_from() { in_peer ping -q -c 1 -W 1 -I "$1" "$ADDR"; }

# Always the same hash.
KEY=$(printf '%02x:' {1..40})

# probe: the interface, and which of the peer's addresses comes by which queue: in /tmp/from.0 and /tmp/from.1.
probe() {
	local n before queue
	load_driver
	ethtool -X "$(iface)" hkey "${KEY%:}"
	ethtool -x "$(iface)" | grep -x "${KEY%:}"
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
	local queue dev index napi irq
	dev=$(iface)
	index=$(<"/sys/class/net/$dev/ifindex")
	for queue in 0 1; do
		napi=$(of_netdev queue "ifindex=$index" "id=$queue" type=0 napi-id)
		check "NAPI instance of queue $queue" "$napi" -gt 0
		check "of its transmit queue" "$(of_netdev queue "ifindex=$index" "id=$queue" type=1 napi-id)" -eq "$napi"
		irq=$(of_netdev napi "id=$napi" irq)
		grep "^ *$irq:.*$dev-TxRx-$queue\$" /proc/interrupts
		check "CPU of queue $queue" "$(<"/proc/irq/$irq/smp_affinity_list")" == "$queue"
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
	local all before queue stack
	attach drop
	before=$(count rx_xdp_drop)
	for queue in 0 1; do send_from "$(</tmp/from.$queue)" 50; done
	eventually 10 more_than $((before + 99)) rx_xdp_drop
	attach tx
	before=$(count rx_xdp_tx)
	stack=$(sent_by_stack)
	all=$(stat_of tx_packets)
	for queue in 0 1; do send_from "$(</tmp/from.$queue)" 50; done
	eventually 10 more_than $((before + 99)) rx_xdp_tx
	# On rings of their own.
	eventually 5 sent_more_than $((all + 99))
	check "packets on the rings of the stack" $(($(sent_by_stack) - stack)) -lt 50
	detach
	ping_peer
	pool_clean
}

sent_more_than() { (($(stat_of tx_packets) > $1)); }
sent_by_stack() {
	local index
	index=$(<"/sys/class/net/$(iface)/ifindex")
	echo $(($(of_netdev qstats "ifindex=$index" queue-id=0 queue-type=1 tx-packets) +
		$(of_netdev qstats "ifindex=$index" queue-id=1 queue-type=1 tx-packets)))
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
	ethtool -X "$(iface)" hkey "${KEY%:}"
	up
	eventually 30 pings
}

# came QUEUE: packets that have come by it.
came() { of_netdev qstats "ifindex=$(<"/sys/class/net/$(iface)/ifindex")" "queue-id=$1" queue-type=0 rx-packets; }
# by_queue FROM QUEUE: what that address sends comes by that queue.
by_queue() {
	local before
	before=$(came "$2")
	send_from "$1" 50
	check "packets by queue $2, from $1" $(($(came "$2") - before)) -ge 50
}

# The table of the hash is changed under traffic: flows go where it says, and the key stays.
table() {
	local dev queue
	dev=$(iface)
	traffic_start
	for queue in 0 1; do by_queue "$(</tmp/from.$queue)" "$queue"; done
	ethtool -X "$dev" weight 0 1
	for queue in 0 1; do by_queue "$(</tmp/from.$queue)" 1; done
	ethtool -X "$dev" weight 1 0
	for queue in 0 1; do by_queue "$(</tmp/from.$queue)" 0; done
	fails ethtool -X "$dev" weight 1 1 1
	# A restart does not forget it.
	ethtool -G "$dev" rx 512
	eventually 30 pings
	for queue in 0 1; do by_queue "$(</tmp/from.$queue)" 0; done
	ethtool -G "$dev" rx 256
	ethtool -X "$dev" default
	eventually 30 pings
	for queue in 0 1; do by_queue "$(</tmp/from.$queue)" "$queue"; done
	traffic_stop
	ethtool -x "$dev" | grep -x "${KEY%:}"
	ping_peer
}

# observe COMMAND...: what the stack gets meanwhile, by the kernel's trace event, in /tmp/events.
observe() {
	local events=/sys/kernel/tracing
	echo >$events/trace
	echo 1 >$events/events/net/napi_gro_receive_entry/enable
	"$@"
	echo 0 >$events/events/net/napi_gro_receive_entry/enable
	# (The peer's has the same name, and says no queue.)
	grep 'queue_mapping=[1-9]' $events/trace >/tmp/events
	echo >$events/trace
}
# events PATTERN: how many of them are such ones.
events() { grep -c -E "$1" /tmp/events || true; }

# Each packet has the hash by which the card has chosen its queue: of the addresses, or with the ports. So has one that
# an XDP program lets pass, of which there are more at once than descriptors are given back together.
hashes() {
	local dev n program
	dev=$(iface)
	ethtool -X "$dev" default
	for program in none pass; do
		[[ $program == none ]] || attach "$program"
		observe ip netns exec peer ping -f -q -c 300 -l 100 -I "$(</tmp/from.0)" "$ADDR"
		n=$(events 'protocol=0x0800')
		check "packets" "$n" -ge 300
		check "packets with a hash of the addresses" "$(events 'protocol=0x0800.* hash=0x.*[1-9a-f].* l4_hash=0')" -eq "$n"
		# The table is 0 1 0 1 ...; a queue is one more there.
		check "packets whose hash is of another queue" \
			"$(events 'queue_mapping=1 .*protocol=0x0800.* hash=0x[0-9a-f]*[13579bdf] ')" -eq 0
		observe ip netns exec peer socat -u -b 65536 "OPEN:/tmp/sent,readbytes=1000000" "TCP4:$ADDR:6003,bind=$(</tmp/from.1)"
		n=$(events 'protocol=0x0800')
		check "segments" "$n" -ge 300
		check "segments with a hash of the ports" "$(events 'hash=0x.*[1-9a-f].* l4_hash=1')" -ge $((n - 5))
		detach
	done
	ethtool -K "$dev" rxhash off
	observe in_peer ping -q -c 5 -i 0.1 -I "$(</tmp/from.0)" "$ADDR"
	check "packets with a hash" "$(events 'hash=0x.*[1-9a-f].* l4_hash')" -eq 0
	ethtool -K "$dev" rxhash on
}

# The card takes VLAN tags out of frames, or does not: the stack finds the packet's tag either way.
tags() {
	local dev strip
	modprobe 8021q || skip "no VLANs"
	dev=$(iface)
	ip link add link "$dev" name tag1 type vlan id 1234
	ip -n peer link add link "$PEER" name tag1 type vlan id 1234 egress-qos-map 0:5
	ip addr add 10.8.0.1/24 dev tag1
	ip -n peer addr add 10.8.0.2/24 dev tag1
	ip link set tag1 up
	ip -n peer link set tag1 up
	eventually 10 pings_tagged
	for strip in on off on; do
		ethtool -K "$dev" rxvlan $strip
		observe in_peer ping -q -c 10 -i 0.05 10.8.0.1
		if [[ $strip == on ]]; then
			check "tags" "$(events "vlan_tagged=1 vlan_proto=0x8100 vlan_tci=0xa4d2")" -ge 10
		else
			check "tags in the frames" "$(events "vlan_tagged=0 .*protocol=0x8100")" -ge 10
		fi
		# Also of one that has been down.
		ip link set "$dev" down
		up
		ip link set tag1 up
		eventually 30 pings_tagged
	done
	ip link del tag1
	ip -n peer link del tag1
}
pings_tagged() { in_peer ping -q -c 1 -W 1 10.8.0.1; }

# A program asks what the card has said of a packet: the hash, and its kind; the tag that is not in it.
asked() {
	local dev dropped seen
	dev=$(iface)
	modprobe 8021q || skip "no VLANs"
	ip -n peer link add link "$PEER" name tag1 type vlan id 1234 egress-qos-map 0:5
	ip -n peer addr add 10.8.0.2/24 dev tag1
	ip -n peer link set tag1 up
	ip -n peer neigh replace 10.8.0.1 lladdr "$MAC" dev tag1 nud permanent
	bpftool prog load metadata.o /sys/fs/bpf/asks xdpmeta_dev "$dev"
	bpftool net attach xdpdrv pinned /sys/fs/bpf/asks dev "$dev"
	# What has a hash of another queue the program drops.
	dropped=$(count rx_xdp_drop)
	in_peer ping -q -c 20 -i 0.02 -I "$(</tmp/from.0)" "$ADDR"
	check "hashes of IPv4's addresses" "$(answer kinds 1)" -ge 20
	in_peer ping -q -c 20 -i 0.02 -I "$PEER" "$(link_local "$dev")"
	check "hashes of IPv6's addresses" "$(answer kinds 2)" -ge 20
	ip netns exec peer socat -u -b 65536 "OPEN:/tmp/sent,readbytes=1000000" "TCP4:$ADDR:6003,bind=$(</tmp/from.1)"
	check "hashes of IPv4's TCP" "$(answer kinds $((1 | 8 | 16)))" -ge 300
	ip netns exec peer socat -u -b 65536 "OPEN:/tmp/sent,readbytes=1000000" "TCP6:[$(link_local "$dev")%$PEER]:6004"
	check "hashes of IPv6's TCP" "$(answer kinds $((2 | 8 | 16)))" -ge 300
	check "hashes of another queue" $(($(count rx_xdp_drop) - dropped)) -eq 0
	check "tags before" "$(answer tags 1)" -eq 0
	in_peer ping -q -c 5 -i 0.05 -W 1 10.8.0.1 || true
	check "tags" "$(answer tags 1)" -eq 5
	check "protocol and tag" "$(answer tags 2)" -eq $((0x0081a4d2))
	check "what a timestamp is answered with" "$(answer tags 3)" -eq 95
	# Who does not want them gets none.
	ethtool -K "$dev" rxhash off rxvlan off
	ping_peer
	seen=$(answer kinds 511)
	in_peer ping -q -c 20 -i 0.02 -I "$(</tmp/from.0)" "$ADDR"
	check "packets without a hash" $(($(answer kinds 511) - seen)) -ge 20
	in_peer ping -q -c 5 -i 0.05 -W 1 10.8.0.1 || true
	check "tags" "$(answer tags 1)" -eq 5
	ethtool -K "$dev" rxhash on rxvlan on
	detach
	rm /sys/fs/bpf/asks
	ip -n peer link del tag1
	ping_peer
}
# answer MAP KEY: what is there.
answer() { bpftool map lookup name "$1" key $(($2 & 255)) $(($2 >> 8)) 0 0 | sed -n 's/.*"value": *\([0-9]*\).*/\1/p'; }
link_local() { ip -6 -o addr show dev "$1" scope link | sed -n 's/.*inet6 \([^/]*\).*/\1/p'; }

# Fewer queues, and more, under traffic.
channels() {
	local dev n before all
	dev=$(iface)
	for n in 0 1; do
		ip netns exec peer ping -f -l 8 -q -I "$(</tmp/from.$n)" "$ADDR" &
	done
	all=0
	for n in 1 2 1 2 1 2; do
		ethtool -L "$dev" combined $n
		# What a queue counted counts when it is gone.
		before=$all all=$(of_netdev device "ifindex=$(<"/sys/class/net/$dev/ifindex")" rx-packets)
		check "packets of all queues" "$all" -ge "$before"
		check "queues" "$(compgen -G "/sys/class/net/$dev/queues/rx-*" | wc -l)" -eq $n
		eventually 5 pools $n
		eventually 30 pings_from "$(</tmp/from.0)"
		eventually 30 pings_from "$(</tmp/from.1)"
	done
	fails ethtool -L "$dev" combined 3
	fails ethtool -L "$dev" combined 0
	# While it is down.
	ip link set "$dev" down
	ethtool -L "$dev" combined 1
	up
	eventually 30 pings_from "$(</tmp/from.1)"
	eventually 5 pools 1
	# The core's watchdog looks at queues that are not used as well, every five seconds.
	sleep 7
	# What somebody chose stays, and so do the queues that it needs.
	ethtool -L "$dev" combined 2
	ethtool -X "$dev" weight 0 1
	fails ethtool -L "$dev" combined 1
	ethtool -X "$dev" default
	kill %1 %2
	wait || true
	ping_peer
	pool_clean
}
pools() { [[ $(grep -c ^pool "$DEBUGFS/pools") == "$1" ]]; }

# Half of what it takes to change their number is refused: there is the old number then, or the new one, and each
# queue works.
refused_channels() {
	local dev kind n
	dev=$(iface)
	for kind in rings queues rxqs; do
		refuse "$kind" 2
		for n in 1 2 1 2 1 2 1 2; do ethtool -L "$dev" combined $n || true; done
		check "refused $kind" "$(refused)" -gt 0
		rmmod refuse
		for n in 0 1; do eventually 30 pings_from "$(</tmp/from.$n)"; done
		eventually 5 pools "$(compgen -G "/sys/class/net/$dev/queues/rx-*" | wc -l)"
	done
	ethtool -L "$dev" combined 2
	for n in 0 1; do eventually 30 pings_from "$(</tmp/from.$n)"; done
	ping_peer
	pool_clean
}

# A queue goes while a socket has pages of its pool.
held() {
	local dev
	dev=$(iface)
	hold 9000 64
	to_holder 9000 100 1400 "$(</tmp/from.1)"
	check "packets in the socket" "$(count_held)" -eq 100
	ethtool -L "$dev" combined 1
	eventually 30 pings_from "$(</tmp/from.1)"
	check "packets in the socket" "$(count_held)" -eq 100
	end_hold
	ethtool -L "$dev" combined 2
	eventually 30 pings_from "$(</tmp/from.1)"
	pool_clean
}
# What a packet is charged for is more than 2,048 bytes, and less than twice that.
count_held() { echo $(($(charged 9000) / 2304)); }

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
try "ethtool -X: the card follows the table, under traffic" table
socat -u TCP4-LISTEN:6003,reuseaddr,fork OPEN:/dev/null &
eventually 10 has_socket tcp 6003
try "the hash of each packet" hashes
try "VLAN tags, taken out and not" tags
socat -u TCP6-LISTEN:6004,reuseaddr,fork OPEN:/dev/null &
try "what a program asks of a packet" asked
try "ethtool -L: one queue and two, under traffic" channels
try "ethtool -L while half of what it takes is refused" refused_channels
try "a queue goes while a socket has pages of its pool" held
try "rings, down and up, unbound, under traffic" all_of_them
try "removal" remove
