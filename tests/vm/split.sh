#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Headers in buffers of their own, and rules that send packets to queues: the 82576 under igb_rust, with two queues. MB is
# how much upstream's tcp_mmap maps of what it receives.

cd "$(dirname "$0")/.." || exit
export DRIVER=igb_rust CARD=0x10c9 PEER_DRIVER=e1000 QUEUES=2
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh
export MB=${MB:-64}
ADDR6=fd00::1

# shellcheck source=hold.sh
. tests/hold.sh

plan 14

# split QUEUE on|off
split() { ethtool --set-priv-flags "$(iface)" "split-headers-$1" "$2" && eventually 30 pings; }
# mtu BYTES: of both ends.
mtu() {
	ip link set "$(iface)" mtu "$1"
	ip -n peer link set "$PEER" mtu "$1"
	eventually 30 pings
}

prepare() {
	load_driver
	up
	ip addr add $ADDR6/64 dev "$(iface)" nodad
	ip -n peer addr add fd00::2/64 dev "$PEER" nodad
	ping_peer
	split 0 on
	split 1 on
	(($(ethtool --show-priv-flags "$(iface)" | grep -c 'split-headers-[01] *: on') == 2))
	ping_peer
}

lengths() {
	local size
	for size in 0 1 5 6 17 18 19 42 65 66 67 85 86 87 100 213 214 215 256 257 1400 1472; do
		in_peer ping -q -c 3 -i 0.005 -s $size "$ADDR"
		in_peer ping -q -c 3 -i 0.005 -s $size "$ADDR6"
	done
	pool_clean
}

tcp() {
	local sum
	head -c 8M /dev/urandom >/tmp/sent
	sum=$(sha256sum </tmp/sent)
	for mtu in 1500 4148 9000; do
		mtu $mtu
		socat -u TCP4-LISTEN:6001,reuseaddr OPEN:/tmp/got,creat,trunc &
		eventually 10 has_socket tcp 6001
		ip netns exec peer socat -u -b 65536 OPEN:/tmp/sent "TCP4:$ADDR:6001"
		wait $!
		[[ $(sha256sum </tmp/got) == "$sum" ]]
	done
	pool_clean
}

# mapped FAMILY ADDRESS: what tcp_mmap receives is right; it is mapped, and its pages come home mapped.
mapped() {
	local before all percent
	[[ -x tcp_mmap ]] || skip "no tcp_mmap"
	# With the headers of IPv6, TCP and a timestamp there are 4,096 bytes left.
	mtu 4168
	before=$(count rx_pp_unmapped)
	# (Its output would stay in its buffer.)
	socat -u EXEC:"./tcp_mmap -$1 -s -z -i -M 4108",pty,stderr STDOUT >/tmp/mmap &
	eventually 10 grep -q ':2253 ' /proc/net/tcp /proc/net/tcp6
	in_peer ./tcp_mmap "-$1" -i -H "$2" -M 4108
	eventually 10 grep 'usec per MB' /tmp/mmap
	kill $!
	wait || true
	cat /tmp/mmap
	grep 'SHA256 is correct' /tmp/mmap
	percent=$(sed -n 's/.*(\([0-9]*\)[0-9.]* % mmap.*/\1/p' /tmp/mmap)
	check "per cent of it mapped" "$percent" -ge 95
	pool_clean
	if is_rust && [[ $BUFFERS == rust ]]; then
		all=$((MB * 256))
		check "pages of $all that did not come back mapped" $(($(count rx_pp_unmapped) - before)) -le $((all / 100))
		check "pages that went past the pool" "$(count rx_pp_escaped)" -eq 0
		echo "# over IPv$1: $percent % of $MB MB mapped, $(($(count rx_pp_unmapped) - before)) pages of $all not home" >&3
	fi
}

# receive PORT OPTION...: the sample, in the background. It says at the end what was mapped.
receive() {
	./receive -p "$@" >"/tmp/said.$1" &
	eventually 10 grep -q ":$(printf %04X "$1") " /proc/net/tcp6
}
# send_file FILE PORT: pages full, as long as there is enough.
send_file() { ip netns exec peer socat -u -b 65536 "OPEN:$1" "TCP4:$ADDR:$2"; }
# said PORT LEAST: per cent that it has mapped.
said() {
	cat "/tmp/said.$1"
	check "per cent mapped" "$(sed -n 's/.*(\([0-9]*\)[0-9.]* %).*/\1/p' "/tmp/said.$1")" -ge "$2"
}

# Two flows and a third one's short packets, by one queue: each sees its own bytes, all of them, and no others.
patterns() {
	local flow
	mtu 4148
	ethtool -X "$(iface)" equal 1
	flood_start 7
	for flow in 1 2; do
		head -c $((MB * 3 / 8))M /dev/urandom >/tmp/flow.$flow
		receive 700$flow -o /tmp/got.$flow
	done
	send_file /tmp/flow.1 7001 &
	send_file /tmp/flow.2 7002
	wait $!
	traffic_stop
	for flow in 1 2; do
		eventually 10 test -s /tmp/said.700$flow
		cmp /tmp/flow.$flow /tmp/got.$flow
		said 700$flow 50
	done
	ethtool -X "$(iface)" default
	rm /tmp/got.*
	pool_clean
}

# A program that keeps all that it maps: at the limit its flow goes on by copies, and others lose nothing. All is back when
# it dies.
keeper() {
	local before keeper died
	mtu 4148
	before=$(count rx_drop_limit)
	receive 7001 -k 64
	keeper=$!
	ip netns exec peer socat -u -b 65536 OPEN:/dev/zero "TCP4:$ADDR:7001" &
	TRAFFIC=$!
	eventually 30 more_than 0 rx_pp_pressure
	KEPT=$(received)
	eventually 30 goes_on
	check "pages kept" "$(outstanding)" -ge 1000
	check "pages kept, of those that there may be" "$(outstanding)" -le "$(max_owned)"
	no_ping_lost 20
	check "packets dropped at the limit" "$(count rx_drop_limit)" -eq "$before"
	kill -STOP "$TRAFFIC"
	eventually 30 quiet
	died=${EPOCHREALTIME/./}
	kill -KILL "$keeper"
	wait "$keeper" || true
	eventually 10 none_outstanding
	died=$((${EPOCHREALTIME/./} - died))
	echo "all pages were back after $((died / 1000)) ms"
	kill -KILL "$TRAFFIC"
	wait "$TRAFFIC" || true
	check "microseconds until all pages were back" $died -le $((1000000 * RPP_SLOW))
	pool_clean
}
# received: bytes by the connection to port 7001.
received() { ss -Htin state established "sport = :7001" | grep -o 'bytes_received:[0-9]*' | cut -d: -f2; }
goes_on() { (($(received) > KEPT + 4000000)); }

# The device goes while a program has 1,000 pages of it mapped: at once, and they stay what they are.
gone_while_mapped() {
	local start
	mtu 4148
	head -c 16M /dev/urandom >/tmp/content
	start_hold zerocopy 5005 $DUMP
	send_tcp 5005 65536
	held mapped 4096000
	misses 1000
	start=${EPOCHREALTIME/./}
	echo "$DUT" >/sys/bus/pci/drivers/igb_rust/unbind
	start=$((${EPOCHREALTIME/./} - start))
	echo "unbinding took $((start / 1000)) ms"
	# (A slow kernel checks each page, and only has to end.)
	check "microseconds for unbinding" $start -le $((RPP_SLOW == 1 ? 1000000 : 10000000))
	let_go
	check "bytes seen" "$(stat -c %s $DUMP)" -ge 4096000
	cmp -n "$(stat -c %s $DUMP)" /tmp/content $DUMP
	all_unmapped
	echo "$DUT" >/sys/bus/pci/drivers/igb_rust/bind
	eventually 10 has_iface
	use_queues
	up
	split 0 on
	split 1 on
	ping_peer
}

# A socket that nobody reads: at the limit packets are copied, and others lose none.
kept() {
	mtu 1500
	hold 9000 64
	flood_start 9000
	eventually 30 more_than 0 rx_pp_pressure
	traffic_stop
	ping_peer 20
	end_hold
	settle
	pool_clean
}

refused() {
	local dev
	dev=$(iface)
	ip link set "$dev" xdpdrv obj samples/xdp/xdp_pass.o sec xdp && return 1
	split 0 off
	split 1 off
	attach pass
	ethtool --set-priv-flags "$dev" split-headers-1 on && return 1
	detach
	split 1 on
	# No such rules.
	fails ethtool -N "$dev" flow-type tcp4 dst-port 80 action 1
	fails ethtool -N "$dev" flow-type ether dst 52:54:00:0a:00:01 action 0
	fails ethtool -N "$dev" flow-type ether dst 52:54:00:0a:00:01 action 2
	fails ethtool -N "$dev" flow-type ether dst 52:54:00:0a:00:01 action -1
	fails ethtool -N "$dev" flow-type ether dst "$MAC" action 1
	fails ethtool -N "$dev" flow-type ether dst 01:54:00:0a:00:01 action 1
	fails ethtool -N "$dev" flow-type ether src 52:54:00:0a:00:01 action 1
	fails ethtool -N "$dev" delete 3
	ping_peer
}

# to_queue N COMMAND...: all that it sends comes by that queue.
to_queue() {
	local before=("$(of_queue 0)" "$(of_queue 1)") now
	"${@:2}"
	now=("$(of_queue 0)" "$(of_queue 1)")
	echo "packets of the queues: $((now[0] - before[0])), $((now[1] - before[1]))"
	check "packets of queue $1" $((now[$1] - before[$1])) -ge 20
	# (A neighbour may be looked for.)
	check "packets of the other one" $((now[1 - $1] - before[1 - $1])) -le 4
}
burst() { in_peer ping -q -c 20 -i 0.01 "$1"; }

# What is for an address has its queue, and all else has queue 0.
by_address() {
	local dev
	dev=$(iface)
	modprobe macvlan || skip "no macvlan"
	ip link add link "$dev" name mac1 address 52:54:00:0a:00:01 type macvlan mode bridge
	ip addr add 10.8.1.1/24 dev mac1
	ip link set mac1 up
	ip -n peer addr add 10.8.1.2/24 dev "$PEER"
	ip -n peer neigh replace 10.8.1.1 lladdr 52:54:00:0a:00:01 dev "$PEER" nud permanent
	ip neigh replace 10.8.1.2 lladdr "$PEER_MAC" dev mac1 nud permanent
	eventually 30 burst 10.8.1.1
	ethtool -N "$dev" flow-type ether dst 52:54:00:0a:00:01 action 1
	fails ethtool -N "$dev" flow-type ether dst 52:54:00:0a:00:01 action 1
	fails ethtool -L "$dev" combined 1
	fails ip link set "$dev" address 52:54:00:0a:00:01
	for deed in none rings updown; do
		case $deed in
		rings) ethtool -G "$dev" rx 128 ;;
		updown)
			ip link set "$dev" down
			up
			ip link set mac1 up
			ip neigh replace 10.8.1.2 lladdr "$PEER_MAC" dev mac1 nud permanent
			;;
		esac
		eventually 30 pings
		(($(ethtool -n "$dev" | grep -c 'Filter: ') == 1))
		ethtool -n "$dev" | grep -i 'Dest MAC addr: 52:54:00:0a:00:01'
		to_queue 1 burst 10.8.1.1
		to_queue 0 burst "$ADDR"
		# Broadcasts.
		ip -n peer neigh replace 10.9.0.77 lladdr ff:ff:ff:ff:ff:ff dev "$PEER" nud permanent
		to_queue 0 in_peer ping -q -c 20 -i 0.01 -W 1 10.9.0.77 || true
	done
	ethtool -N "$dev" delete 0
	eventually 30 pings
	(($(ethtool -n "$dev" | grep -c 'Filter: ') == 0))
	ip link del mac1
	ping_peer
}

# add_vlan ID: to both ends.
add_vlan() {
	ip link add link "$(iface)" name "tag$1" type vlan id "$1"
	ip -n peer link add link "$PEER" name "tag$1" type vlan id "$1"
	ip addr add "10.8.$(($1 % 256)).1/24" dev "tag$1"
	ip -n peer addr add "10.8.$(($1 % 256)).2/24" dev "tag$1"
	ip link set "tag$1" up
	ip -n peer link set "tag$1" up
}

by_vlan() {
	local dev
	dev=$(iface)
	modprobe 8021q || skip "no VLANs"
	for vlan in 100 200; do
		add_vlan $vlan
		eventually 10 burst 10.8.$vlan.1
	done
	ethtool -N "$dev" flow-type ether vlan 100 action 1
	eventually 30 pings
	for vlan in 100 200; do
		ip link set tag$vlan up
		eventually 30 burst 10.8.$vlan.1
	done
	ethtool -n "$dev" | grep -i 'VLAN: 0x64'
	to_queue 1 burst 10.8.100.1
	to_queue 0 burst 10.8.200.1
	to_queue 0 burst "$ADDR"
	# One more, of which the card has to hear.
	add_vlan 300
	eventually 30 burst 10.8.44.1
	to_queue 0 burst 10.8.44.1
	ethtool -N "$dev" delete 0
	eventually 30 pings
	for vlan in 100 200 300; do
		ip link del tag$vlan
		ip -n peer link del tag$vlan
	done
	ping_peer
	pool_clean
}

remove() {
	flood_start 7
	sleep 1
	remove_modules
	traffic_stop
}

exec 3>&1
peer_up
sink
try "interface" prepare
try "packets of many lengths" lengths
try "TCP, MTUs of 1,500, 4,148 and 9,000" tcp
try "TCP mapped into user space, IPv4" mapped 4 "$ADDR"
try "TCP mapped into user space, IPv6" mapped 6 $ADDR6
try "two flows, mapped: each sees its own bytes" patterns
try "a program that keeps all that it maps" keeper
try "a device that goes while its pages are mapped" gone_while_mapped
try "a socket that nobody reads: copied" kept
try "what cannot be is refused" refused
try "a rule for an address" by_address
try "a rule for a VLAN" by_vlan
try "the interface works again" ping_peer
try "removal under traffic" remove
