#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The pin-down attack of J. Brouer's page_pool talk: a few packets of one flow go to a
# socket that never reads, among many of another flow that behaves, so that each of the
# few can keep the memory that its neighbours were in. The guest's side of
# scripts/pin-down.sh; no arithmetic on results here, see scripts/pin-down.py.
#
# The sender is always the C e1000e, for each RECEIVER in turn:
#	e1000_rust	a page of our pool for each packet
#	virtio_net	two packets in a page of the kernel's page_pool
#	e1000		fragments of order-3 pages (copybreak=0, or it copies small packets)
#	igb_rust	as e1000_rust, both flows on one queue
#	igb_rust_own	a rule gives the hoarder's flow a queue of its own, with a pool of its own

set -euo pipefail
cd /rpp
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh

RECEIVERS=${RECEIVERS:-e1000_rust virtio_net e1000 igb_rust igb_rust_own}
ROUNDS=${ROUNDS:-2}
PACKETS=${PACKETS:-3000}
SIZES=${SIZES:-600}
DELAY_US=${DELAY_US:-400}
SOCKET_MB=${SOCKET_MB:-32}
RESULTS=${RESULTS:-/rpp/out/runs.txt}

TRACE=/sys/kernel/tracing
WARM=''
PORT=7000
# Nobody's: the receiving NIC drops these frames, so that the sender works as much as in the attack.
NO_MAC=52:54:00:00:00:99
# The hoarder's, where it has a queue of its own.
OWN_MAC=52:54:00:0a:00:01

# net.sh goes by the one device under test; here are two.
iface() {
	local nic
	for nic in /sys/class/net/*; do
		[[ $(<"$nic/address") == "$MAC" ]] && basename "$nic" && return
	done
}

# load: the driver of $RECEIVER, and how it receives.
load() {
	MAC=52:54:00:00:00:01 DRIVER=${RECEIVER%_own} QUEUES=
	case $RECEIVER in
	e1000_rust) load_driver ;;
	igb_rust) MAC=52:54:00:00:00:04 QUEUES=1 && load_driver ;;
	igb_rust_own) MAC=52:54:00:00:00:04 QUEUES=2 && load_driver ;;
	virtio_net) MAC=52:54:00:00:00:03 && modprobe virtio_net ;;
	e1000) modprobe e1000 copybreak=0 ;;
	esac
	eventually 10 has_iface
	echo 1 >"$TRACE/events/page_pool/page_pool_state_hold/enable"
	: >"$TRACE/trace"
	up
	echo 0 >"$TRACE/events/page_pool/page_pool_state_hold/enable"
	ip -n peer neigh replace "$ADDR" lladdr "$MAC" dev "$PEER" nud permanent
	HOARDER_MAC=$MAC
	[[ $RECEIVER != *_own ]] || own_queue
	# QEMU's e1000 takes no frame in the first second after its receiver was switched on.
	sleep 2
	eventually 10 pings
	on_one_cpu
}

# own_queue: what is for another address of the device goes to queue 1, and all else to queue 0.
own_queue() {
	HOARDER_MAC=$OWN_MAC
	modprobe macvlan
	ip link add link "$(iface)" name own address $OWN_MAC type macvlan mode bridge
	ip link set own up
	ethtool -N "$(iface)" flow-type ether dst $OWN_MAC action 1
	eventually 30 carrier
}

# on_one_cpu: so is everything, or more CPUs would be more of what the flows share. (Two queues take two of them.)
on_one_cpu() {
	local irq
	for irq in /proc/irq/[0-9]*/smp_affinity_list; do echo 0 >"$irq" || true; done 2>/dev/null
}

# What virtio_net's code can do is not what it does with each device: pages that the kernel's page_pool
# took while the interface came up, and whether the device has VIRTIO_NET_F_MRG_RXBUF.
c_pool_pages() { grep -c page_pool_state_hold "$TRACE/trace" || true; }
mergeable() { cut -c16 "/sys/class/net/$(iface)/device/features" 2>/dev/null || echo -; }

# The flow that behaves.
good_start() {
	socat -u -b 65536 TCP4-LISTEN:5001,reuseaddr OPEN:/dev/null &
	GOOD=$!
	eventually 10 has_socket tcp 5001
	ip netns exec peer socat -u -b 65536 OPEN:/dev/zero "TCP4:$ADDR:5001" &
	SENDER=$!
	sleep 0.5
}
good_stop() {
	kill "$SENDER"
	wait "$SENDER" "$GOOD" || true
	sleep 0.5
}
good_bytes() { ss -Htin state established "sport = :5001" | grep -o 'bytes_received:[0-9]*' | cut -d: -f2; }

# memory: kB that are free, and pages that our pool has and that the stack has of it.
memory() {
	awk '$1 == "pages" && $2 == "free" { n += $3 } $1 == "count:" { n += $2 } END { printf "free_kb=%d ", n * 4 }' /proc/zoneinfo
	if has_pool; then
		awk '/ pages / { owned += $2; max += $4; sub(/.*outstanding /, ""); out += $1 }
			END { printf "owned=%d max=%d outstanding=%d ", owned, max, out }' "$DEBUGFS/pools"
	fi
}

# caches_dropped: what fills up by itself is not to be taken for what is pinned.
caches_dropped() { free_kb >/dev/null; }

now_us() { echo "${EPOCHREALTIME/./}"; }

line() { echo "$@" | xargs >>"$RESULTS"; }

# run KIND MAC: both flows, until all of the hoarder's packets are sent.
run() {
	local start bytes pid
	good_start
	bytes=$(good_bytes)
	start=$(now_us)
	ip netns exec peer bash samples/pktgen/send.sh -i "$PEER" -m "$2" -d "$ADDR" -p "$PORT" \
		-n "$PACKETS" -s "$size" -w $((DELAY_US * 1000)) -b 1 >/tmp/sent &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		line "kind=sample run=$1 $what us=$(($(now_us) - start)) $(memory)"
		sleep 0.2
	done
	bytes=$(($(good_bytes) - bytes))
	line "kind=$1 $what us=$(($(now_us) - start)) bytes=$bytes $(</tmp/sent)"
	good_stop
}

# The packets that came as far as the socket; those that it refused are among them.
to_socket() { awk '$1 == "hoard" { print $2 }' "$TRACE/kprobe_profile"; }

# The kernel keeps some of what it has needed once, slabs for as many packets: not to be taken for what is pinned.
warm_up() {
	hold "$PORT" "$SOCKET_MB"
	run warm "$HOARDER_MAC"
	end_hold
	WARM=1
}

attack() {
	local hits before start pause
	[[ $WARM ]] || warm_up
	run without "$NO_MAC"
	hits=$(to_socket)
	hold "$PORT" "$SOCKET_MB"
	caches_dropped
	before=$(memory)
	run with "$HOARDER_MAC"
	caches_dropped
	line "kind=before $what $before"
	line "kind=during $what $(memory) to_socket=$(($(to_socket) - hits))" \
		"$(ss -Huamn "sport = :$PORT" | sed -n 's/.*skmem:(r\([0-9]*\),.*,d\([0-9]*\))/charged=\1 refused=\2/p')" \
		"$(! has_pool || echo "copied=$(count rx_pp_pressure) refused_pages=$(count rx_pp_alloc_limit)")"
	start=$(now_us)
	end_hold
	for pause in 0 0 0 0.01 0.02 0.05 0.1 0.2 0.5 1; do
		sleep "$pause"
		line "kind=back $what $(memory) us=$(($(now_us) - start))"
	done
	ping_peer
	caches_dropped
	line "kind=after $what $(memory)"
}

sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 || true
modprobe -a pktgen tcp_diag udp_diag
peer_up
ip link set lo up
echo 'p:hoard __udp_enqueue_schedule_skb' >"$TRACE/kprobe_events"
echo 1 >"$TRACE/events/kprobes/hoard/enable"

echo "kind=boot kernel=$(uname -r) socket_mb=$SOCKET_MB delay_us=$DELAY_US" >"$RESULTS"
for ((round = 1; round <= ROUNDS; round++)); do
	for RECEIVER in $RECEIVERS; do
		for size in $SIZES; do
			what="driver=$RECEIVER size=$size round=$round"
			echo "progress: $what"
			load
			line "kind=buffers $what c_pool_pages=$(c_pool_pages) mergeable=$(mergeable)"
			attack
			remove_modules
		done
	done
done
echo "kind=end" >>"$RESULTS"
