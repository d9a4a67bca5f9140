#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What user space and the stack do with received pages: they are kept in pipes, in
# clones, in queues, and dropped there. Each page has to come back to the pool.

cd "$(dirname "$0")/.." || exit
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh
# shellcheck source=hold.sh
. tests/hold.sh

plan 13

prepare() {
	load_driver
	up
	ping_peer
	head -c 4M /dev/urandom >/tmp/content
}

splice() {
	start_hold splice 5003
	send_tcp 5003
	held bytes 100000
	misses 50
	let_go
	pool_clean
}

splice_killed() {
	start_hold splice 5003
	send_tcp 5003
	held bytes 100000
	misses 50
	let_go KILL
	pool_clean
}

tee_pipes() {
	start_hold tee 5004
	send_tcp 5004
	held bytes 100000
	misses 50
	let_go
	pool_clean
}

# It maps none of this driver's pages (lifetime.sh says why, and maps them otherwise), and hold
# splices them while the empty mapping is there.
zerocopy() {
	start_hold zerocopy 5005
	send_tcp 5005
	held mapped 0
	fails grep "mapped [1-9]" "$HELD"
	held bytes 100000
	misses 50
	let_go
	pool_clean
}

relay() {
	ip netns exec peer socat -u TCP4-LISTEN:5007,reuseaddr OPEN:/tmp/relayed,creat,trunc &
	local receiver=$!
	eventually 10 in_peer grep -q ":138F 00000000:0000 " /proc/net/tcp
	./hold relay "5006:$PEER_ADDR:5007" &
	local relay=$!
	send_tcp 5006
	wait "$receiver"
	wait "$relay"
	cmp /tmp/content /tmp/relayed
	pool_clean
}

# Clones: one for the stack and one for the packet socket, which nobody reads. The packets are
# large, because small ones are copied.
packet() {
	start_hold packet "$(iface)"
	held bound 1
	in_peer ping -q -f -c 200 -s 1000 "$ADDR"
	# What its buffer has room for.
	misses 20
	let_go
	pool_clean
}

tcpdump_reads() {
	rm -f /tmp/dump
	tcpdump -Z root -U -w /tmp/dump -i "$(iface)" &
	local dump=$!
	eventually 10 test -s /tmp/dump
	in_peer ping -q -f -c 200 -s 1400 "$ADDR"
	kill "$dump"
	wait "$dump" || true
	check "bytes captured" "$(stat -c %s /tmp/dump)" -gt 250000
	pool_clean
}

# A copy of each packet waits in a queue of another device, and is dropped there.
mirror() {
	local dev
	dev=$(iface)
	modprobe -a dummy sch_ingress cls_matchall act_mirred sch_netem
	ip link add mirror type dummy
	ip link set mirror up
	tc qdisc add dev mirror root netem delay $((3 * RPP_SLOW))s
	tc qdisc add dev "$dev" clsact
	tc filter add dev "$dev" ingress matchall action mirred egress mirror dev mirror
	in_peer ping -q -f -c 200 -s 1000 "$ADDR"
	misses $((150 / $(per_page)))
	tc qdisc del dev "$dev" clsact
	# Half by the timer, the rest with the queue.
	sleep $((2 * RPP_SLOW))
	ip link del mirror
	pool_clean
}

# Fragments of packets that never become complete.
fragments() {
	in_peer ping -q -f -c 50 -s 8000 "$ADDR"
	modprobe -a sch_netem
	in_peer tc qdisc add dev "$PEER" root netem loss 40%
	in_peer ping -q -f -c 200 -W 1 -s 8000 "$ADDR" || true
	in_peer tc qdisc del dev "$PEER" root
	misses 1
	eventually 60 none_outstanding_or_no_pool
	pool_clean
}

none_outstanding_or_no_pool() { ! has_pool || none_outstanding; }

# watch: what a socket, a packet socket and the sender see from now on, in /tmp/seen.*
watch() {
	if kill "${watchers[@]}"; then wait "${watchers[@]}" || true; fi
	rm -f /tmp/seen.*
	socat -u UDP4-RECV:7,rcvbuf=4000000 OPEN:/tmp/seen.socket,creat &
	watchers=($!)
	tcpdump -Z root -U -s 0 -w /tmp/seen.here -i "$(iface)" &
	watchers+=($!)
	ip netns exec peer tcpdump -Z root -U -s 0 -Q in -w /tmp/seen.there -i "$PEER" &
	watchers+=($!)
	eventually 10 has_socket udp 7
	eventually 10 test -s /tmp/seen.here
	eventually 10 test -s /tmp/seen.there
}
# seen BYTES WHERE...: so many, everywhere there.
seen() {
	local least=$1 where
	shift
	for where in "$@"; do
		check "bytes seen, $where" "$(stat -c %s "/tmp/seen.$where")" -ge "$least" || return
	done
}

# Sent again until enough have been seen: a burst may be too much for the socket.
full_of_a() {
	in_peer socat -u -b 1472 OPEN:/tmp/a "UDP4-SENDTO:$ADDR:7"
	sleep 0.5
	seen 1000000 "$@"
}
longer_and_longer() {
	in_peer bash -c "b=\$(head -c 1472 /dev/zero | tr '\\0' B)
		for ((n = 7; n <= 1470; n += 7)); do echo -n \"\${b:0:n}\" >/dev/udp/$ADDR/7; done"
	sleep 0.5
	# 7 + 14 + ... + 1470
	seen 155085 "$@"
}

# Full packets of A, then longer and longer ones of B: in the page, there are As behind the Bs. Nobody
# may see them: no socket, no packet socket, nor the sender in an answer or in its packet sent back.
patterns() {
	local how=$1 watchers=() bytes where
	shift
	[[ $how == PASS ]] || attach tx
	head -c $((2000 * 1472)) /dev/zero | tr '\0' A >/tmp/a
	watch
	eventually 30 full_of_a "$@"
	# They are seen, if one looks like this.
	for where in "$@"; do grep -qa AAAA "/tmp/seen.$where"; done
	eventually 90 quiet
	watch
	eventually 30 longer_and_longer "$@"
	if [[ $how == PASS ]]; then
		for ((bytes = 16; bytes <= 1472; bytes += 104)); do
			in_peer ping -q -c 2 -i 0.01 -p 42 -s "$bytes" "$ADDR"
		done
		eventually 10 seen 20000 there
	else
		detach
	fi
	stat -c '%n %s' /tmp/seen.*
	fails grep -la AAAA /tmp/seen.*
	kill "${watchers[@]}"
	pool_clean
}

# Each way out of the kernel that the hook watches; which were used is in the self-test's file.
hits() {
	has_pool || skip "no pool"
	cat "$DEBUGFS/selftest"
	check "pages caught" "$(awk '$1 == "site" { s += $4 } END { print s + 0 }' "$DEBUGFS/selftest")" -gt 3000
	remove_driver
}

peer_up
try "interface" prepare
try "pages in pipes, by splice" splice
try "pages in pipes, process killed" splice_killed
try "pages in two pipes each, by tee" tee_pipes
try "TCP_ZEROCOPY_RECEIVE of pages that it cannot map" zerocopy
try "received, spliced, and sent again" relay
try "clones in a packet socket" packet
try "packets read by tcpdump" tcpdump_reads
try "clones in the queue of another device" mirror
try "fragments" fragments
try "contents: nothing of earlier packets, in sockets and answers" patterns PASS socket here
try "contents: nothing of earlier packets, sent back by XDP" patterns TX there
try "the hook was used, no mapping is left" hits
