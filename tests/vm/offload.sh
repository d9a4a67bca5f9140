#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What the 82576 does to frames that the stack leaves undone: frames in several pieces, checksums, TCP segmentation,
# VLAN tags; over IPv4 and IPv6. The other side is a C driver that believes no checksum it has not verified itself.

cd "$(dirname "$0")/.." || exit
export DRIVER=igb_rust CARD=0x10c9 PEER_DRIVER=e1000
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh
# shellcheck source=inject.sh
. tests/inject.sh

plan 9

OFFLOADS="tx sg tso txvlan"

probe() {
	local feature
	load_driver
	for feature in tx-checksum-ipv4 tx-checksum-ipv6 tx-scatter-gather tx-tcp-segmentation tx-tcp6-segmentation tx-vlan-offload; do
		ethtool -k "$(iface)" | grep "$feature: on\$"
	done
	up
	ip addr add fd00::1/64 dev "$(iface)" nodad
	ip -n peer addr add fd00::2/64 dev "$PEER" nodad
	in_peer ethtool -K "$PEER" rx off
	ping_peer
	eventually 10 ping -q -c 1 -W 1 fd00::2
	head -c "${MB:-16}M" /dev/urandom >/tmp/sent
}

# sends ADDRESS LARGEST: what TCP sends there arrives, and the driver has got packets of more than LARGEST
# bytes (of two segments TCP is sure, on a slow machine too), but none that are longer than the MTU if LARGEST is 0.
sends() {
	local to=$1 largest=$2 seen
	ip netns exec peer socat -u "TCP-LISTEN:6000,pf=$(family "$to"),reuseaddr" OPEN:/tmp/got,creat,trunc &
	seen=$!
	in_peer_has 6000
	timeout $((60 * RPP_SLOW)) tcpdump -i "$(iface)" -Q out -Z root -c 1 -p "greater $((largest ? largest : 1519))" >/tmp/large 2>/tmp/dump &
	eventually 10 grep 'listening on' /tmp/dump
	socat -u -b 65536 OPEN:/tmp/sent "TCP:$to:6000"
	wait $seen
	cmp /tmp/sent /tmp/got
	if ((largest)); then
		eventually 5 grep . /tmp/large
	else
		pkill tcpdump
		wait
		check "frames of more than an MTU" "$(grep -c . /tmp/large)" -eq 0
	fi
}
family() { if [[ $1 == *:* ]]; then echo ip6; else echo ip4; fi; }
in_peer_has() { eventually 10 in_peer sh -c "ss -Htln 'sport = :$1' | grep -q ."; }

# Each packet that TCP hands down is one to the stack, and many on the wire, which the counters count.
segmentation() {
	local before after size
	size=$(stat -c %s /tmp/sent)
	before=$(stat_of tx_packets)
	sends "$PEER_ADDR" 2000
	after=$(stat_of tx_packets)
	check "packets" $((after - before)) -ge $((size / 1460))
	check "packets" $((after - before)) -lt $((size * 2 / 1460))
	sends '[fd00::2]' 2000
	check "checksums that were wrong" "$(sum_errors)" -eq 0
}

# sum_errors: checksums that the other side found wrong. (Its segments of TCP and datagrams of UDP.)
sum_errors() {
	in_peer cat /proc/net/snmp /proc/net/snmp6 | awk '
		$1 ~ /^(Tcp|Udp):$/ && $2 !~ /^[0-9]/ { for (i = 2; i <= NF; i++) name[i] = $i; next }
		$1 ~ /^(Tcp|Udp):$/ { for (i = 2; i <= NF; i++) if (name[i] == "InCsumErrors") n += $i }
		$1 == "Udp6InCsumErrors" { n += $2 }
		END { print n + 0 }'
}

# UDP, whose checksum the card computes, and a datagram that IP cuts into fragments, whose checksum it cannot.
datagrams() {
	local to size
	for to in "$PEER_ADDR" '[fd00::2]'; do
		for size in 1 18 1000 1400 9000; do
			ip netns exec peer timeout 20 socat -u -b 65536 "UDP-RECV:6001,pf=$(family "$to")" OPEN:/tmp/got,creat,trunc &
			eventually 10 in_peer sh -c "ss -Huln 'sport = :6001' | grep -q ."
			echo "$size bytes to $to"
			head -c "$size" /tmp/sent >/tmp/one
			socat -u -b 65536 OPEN:/tmp/one "UDP-SENDTO:$to:6001"
			eventually 10 cmp /tmp/one /tmp/got
			pkill -f UDP-RECV
			wait
		done
	done
	check "checksums that were wrong" "$(sum_errors)" -eq 0
}

# The card puts the tag into the frame, also into each frame that it makes of one.
vlan() {
	modprobe 8021q || skip "no VLANs"
	ip link add link "$(iface)" name tag1 type vlan id 1234
	ip -n peer link add link "$PEER" name tag1 type vlan id 1234
	ip addr add 10.8.0.1/24 dev tag1
	ip -n peer addr add 10.8.0.2/24 dev tag1
	ip link set tag1 up
	ip -n peer link set tag1 up
	ethtool -k tag1 | grep 'tcp-segmentation-offload: on'
	eventually 10 ping -q -c 1 -W 1 10.8.0.2
	# (Of a frame that the card divides and tags QEMU loses all but the first part, under C igb as well: TCP sends
	# them again, and never gets to more than a few.)
	sends 10.8.0.2 2000
	# Priorities are a part of the tag. (C e1000 forgets them when it takes the tag out.)
	in_peer ethtool -K "$PEER" rxvlan off
	ip link set tag1 type vlan egress-qos-map 0:5
	in_peer timeout 20 tcpdump -i "$PEER" -Z root -e -c 1 'vlan 1234 and icmp' >/tmp/tagged 2>/tmp/dump &
	eventually 10 grep 'listening on' /tmp/dump
	ping -q -c 3 10.8.0.2
	eventually 10 grep 'vlan 1234, p 5' /tmp/tagged
	in_peer ethtool -K "$PEER" rxvlan on
	ip link del tag1
	ip -n peer link del tag1
}

# Without each of them, and again.
switched() {
	local feature dev
	dev=$(iface)
	for feature in $OFFLOADS; do
		ethtool -K "$dev" "$feature" off
		sends "$PEER_ADDR" "$([[ $feature == txvlan ]] && echo 2000 || echo 0)"
		ethtool -K "$dev" "$feature" on
	done
	sends "$PEER_ADDR" 2000
}

# The smallest ring, which a few packets fill.
small_ring() {
	local before
	ethtool -G "$(iface)" tx 80
	before=$(stat_of tx_packets)
	sends "$PEER_ADDR" 2000
	sends '[fd00::2]' 2000
	check "packets" $(($(stat_of tx_packets) - before)) -ge $((2 * $(stat -c %s /tmp/sent) / 1460))
	ethtool -G "$(iface)" tx 256
}

# Of a packet some pieces can be mapped and the next one cannot: nothing is sent, and nothing stays mapped. (With
# so much lost TCP keeps its window small: packets of two segments are what it is sure to hand down.)
refused() {
	local dropped
	dropped=$(stat_of tx_dropped)
	refuse mappings 20
	sends "$PEER_ADDR" 2000
	rmmod refuse
	check "packets dropped" $(($(stat_of tx_dropped) - dropped)) -gt 0
	ping_peer
}

# Other rings, down and up, while it sends.
under_way() {
	local i
	ip netns exec peer socat -u TCP4-LISTEN:6002,reuseaddr,fork OPEN:/dev/null &
	in_peer_has 6002
	socat -u -b 65536 OPEN:/dev/zero "TCP4:$PEER_ADDR:6002" &
	for i in 1 2 3 4; do
		sleep 1
		ethtool -G "$(iface)" tx $((i % 2 ? 1024 : 256))
		sleep 1
		ip link set "$(iface)" down
		up
	done
	pkill socat
	wait || true
	ping_peer
	pool_clean
}

remove() {
	pool_clean
	remove_modules
}

peer_up
try "probe: what the interface can do" probe
try "TCP segmentation, IPv4 and IPv6" segmentation
try "UDP checksums, and fragments" datagrams
try "VLAN tags" vlan
try "each switched off and on" switched
try "the smallest ring" small_ring
try "a piece of a packet cannot be mapped" refused
try "rings, down and up, while it sends" under_way
try "removal" remove
