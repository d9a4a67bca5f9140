#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Packets in several receive buffers: the largest MTU that a card takes, and XDP programs that take them. The 82576
# under igb_rust, whose peer is the 82540EM, and then that one under e1000_rust.

cd "$(dirname "$0")/.." || exit
if [[ ${CARD-} != 0x100e ]]; then
	export DRIVER=igb_rust CARD=0x10c9 PEER_DRIVER=e1000 QUEUES=1
fi
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh
if [[ $CARD == 0x100e ]]; then
	MAC=52:54:00:00:00:02 PEER_MAC=52:54:00:00:00:03
	MTU=16106 PEER_MTU=9000
else
	MTU=9216 PEER_MTU=9216
fi
N=50

plan 15

# mtu BYTES [PEER'S]
mtu() {
	ip link set "$(iface)" mtu "$1"
	ip -n peer link set "$PEER" mtu "${2:-$1}"
	settle
}

# send BYTES: N UDP packets from the peer, of so many bytes with their headers, but the Ethernet one.
send() {
	head -c $((($1 - 28) * N)) /tmp/content >/tmp/sent
	in_peer socat -u -b $(($1 - 28)) OPEN:/tmp/sent "UDP4-SENDTO:$ADDR:7000"
}

# arrive: all of that is in the socket that hold() has, unchanged.
arrive() {
	eventually 30 quiet
	kill -CONT "$HOLDER"
	eventually 10 cmp /tmp/sent /tmp/dump
	end_hold
}

# comes_back BYTES SOURCE [SENT]: of N packets of 9,000 bytes, or SENT, the peer gets frames of so many bytes.
comes_back() {
	in_peer timeout 30 tcpdump -Z root --immediate-mode -B 8192 -s 64 -n -c $N -i "$PEER" -Q "in" \
		"ether src $2 and udp and len = $1" >/tmp/capture 2>/tmp/capture.err &
	CAPTURE=$!
	eventually 10 grep -q "listening on" /tmp/capture.err
	send "${3:-9000}"
	eventually 20 all_captured || { cat /tmp/capture.err; ethtool -S "$(iface)" | grep xdp; return 1; }
	kill $CAPTURE 2>/dev/null || true
	wait $CAPTURE || true
}
all_captured() { (($(wc -l </tmp/capture) >= N)); }

probe() {
	load_driver
	up
	check "largest MTU" "$(ip -d link show dev "$(iface)" | sed -n 's/.* maxmtu \([0-9]*\).*/\1/p')" -eq "$MTU"
	head -c 16M /dev/urandom >/tmp/content
	mtu 9000
	ping_peer
}

# Sizes about the ends of buffers, of which each byte is as it was.
sizes() {
	local size
	for size in 1472 2006 2020 3030 3044 4068 4082 6116 6130 8164 8178 8972; do
		ping -q -c 3 -i 0.05 -W 5 -M "do" -p c0ffee -s $size "$PEER_ADDR"
	done
	mtu "$MTU" "$PEER_MTU"
	ping -q -c 3 -i 0.05 -W 5 -M "do" -s $((PEER_MTU - 28)) "$PEER_ADDR"
	fails ip link set "$(iface)" mtu $((MTU + 1))
	mtu 9000
	check errors "$(stat_of rx_errors)" -eq 0
	pool_clean
}

tcp() {
	ip netns exec peer socat -u TCP4-LISTEN:6000,reuseaddr OPEN:/tmp/got,creat,trunc &
	eventually 10 in_peer sh -c "ss -Htln 'sport = :6000' | grep -q ."
	socat -u -b 65536 OPEN:/tmp/content "TCP4:$PEER_ADDR:6000"
	wait $!
	cmp /tmp/content /tmp/got
	socat -u TCP4-LISTEN:6000,reuseaddr OPEN:/tmp/got,creat,trunc &
	eventually 10 sh -c "ss -Htln 'sport = :6000' | grep -q ."
	in_peer socat -u -b 65536 OPEN:/tmp/content "TCP4:$ADDR:6000"
	wait $!
	cmp /tmp/content /tmp/got
	pool_clean
}

# What is longer than the MTU does not arrive, and is an error or none.
longer() {
	local before mtu
	for mtu in 1500 3000 4000; do
		mtu $mtu 9000
		before=$(stat_of rx_packets)
		fails ping -q -c 5 -i 0.1 -W 1 -s 8972 "$PEER_ADDR"
		ping_peer
		in_peer ping -f -q -c 200 -s 8900 -W 1 "$ADDR" || true
		check "packets" $(($(stat_of rx_packets) - before)) -lt 150
	done
	mtu 9000
}

# A socket keeps the buffers; what comes of them is what was sent.
kept() {
	hold 7000 64 /tmp/dump
	send 9000
	if has_pool; then check "pages that the stack has" "$(outstanding)" -ge $((N * 3)); fi
	arrive
	pool_clean
}

# At its limit the pool gives nothing away: packets are copied.
copied() {
	local max
	has_pool || skip "no pool"
	max=$(max_owned)
	limit_to 0
	hold 7000 64 /tmp/dump
	send 9000
	eventually 30 quiet
	check "pages that the stack has" "$(outstanding)" -eq 0
	arrive
	limit_to "$max"
	pool_clean
}

# Of the path: other rings, other MTUs, down and up, while packets come.
changes() {
	local dev n
	dev=$(iface)
	ip netns exec peer ping -f -l 8 -q -s 8000 "$ADDR" &
	TRAFFIC=$!
	for n in 1 2 3; do
		ethtool -G "$dev" rx $((n % 2 ? 512 : 256))
		ip link set "$dev" mtu $((5000 + n))
		ip link set "$dev" mtu 1500
		ip link set "$dev" mtu 9000
		ip link set "$dev" down
		up
	done
	ethtool -G "$dev" rx 256
	traffic_stop
	settle
	ping_peer
	pool_clean
}

# A program that wants a packet in one buffer is refused, and so is an MTU that it does not take.
refused() {
	fails attach pass 2>/tmp/refused
	grep "MTU too large to enable XDP without frags" /tmp/refused
	mtu 1500
	attach pass
	fails ip link set "$(iface)" mtu 9000
	detach
	attach_frags pass
	mtu 9000
	detach
}

pass() {
	attach_frags pass
	hold 7000 64 /tmp/dump
	send 9000
	arrive
	check "packets passed" "$(count rx_xdp_pass)" -ge $N
	attach_frags grow
	hold 7000 64 /tmp/dump
	send 9000
	arrive
	check "packets that the program could not change" "$(count rx_xdp_aborted)" -eq 0
	detach
	pool_clean
}

drop() {
	local before
	attach_frags drop
	before=$(count rx_xdp_drop)
	send 9000
	eventually 20 more_than $((before + N - 1)) rx_xdp_drop
	fails pings
	detach
	ping_peer
	pool_clean
}

# Back to the sender: as they came, and with whole buffers cut off.
tx() {
	attach_frags tx
	comes_back 9014 "$MAC"
	attach_frags cut
	comes_back 4014 "$MAC"
	# Nothing is left of the other buffers but one, or all.
	comes_back 1514 "$MAC" 6500
	# More than a ring holds.
	ip netns exec peer timeout 3 socat -u -b 8900 OPEN:/dev/zero "UDP4-SENDTO:$ADDR:7" || true
	detach
	settle
	pool_clean
}

# By ndo_xdp_xmit: out of the same device; and of a veth, whose other end makes skbs of the frames.
redirect() {
	attach_frags redirect
	to_port "$(iface)"
	comes_back 9014 "$PEER_MAC"
	detach
	far_up
	ip link set near mtu 9000
	ip -n far link set far mtu 9000
	ip -n far link set far address "$MAC"
	ip -n far addr add "$ADDR/24" dev far
	ip netns exec far socat -u -b 65536 UDP4-RECV:7000,rcvbuf=16000000 OPEN:/tmp/dump,creat,trunc &
	attach_frags redirect
	to_port near
	sleep 1
	send 9000
	eventually 20 cmp /tmp/sent /tmp/dump
	pkill -f UDP4-RECV:7000
	ip netns del far
	eventually 5 test ! -e /sys/class/net/near
	detach
	settle
	pool_clean
}

# As redirect, of frames that a packet socket has copies of.
cloned() {
	timeout 20 tcpdump -Z root -B 8192 -s 0 -i "$(iface)" -w /dev/null 2>/tmp/capture.err &
	eventually 10 grep -q "listening on" /tmp/capture.err
	hold 7000 64 /tmp/dump
	send 9000
	arrive
	pkill tcpdump
	wait || true
	pool_clean
}

remove() {
	ip netns exec peer timeout 3 socat -u -b 8900 OPEN:/dev/zero "UDP4-SENDTO:$ADDR:7" &
	sleep 1
	remove_modules
	wait || true
}

peer_up
sysctl -qw net.core.rmem_max=$((64 << 20))
sink
try "MTU of 9,000" probe
try "sizes about the ends of buffers" sizes
try "TCP, both directions" tcp
try "frames that are longer than the MTU" longer
try "packets in a socket that nobody reads" kept
try "packets that a packet socket has as well" cloned
try "at the limit of the pool: copied" copied
try "rings, MTUs, down and up, while packets come" changes
try "XDP: programs that want one buffer are refused" refused
try "XDP PASS, and with bytes appended" pass
try "XDP DROP" drop
try "XDP TX, also of a part" tx
try "XDP REDIRECT to the device itself, and to a veth" redirect
try "the interface works again" ping_peer
try "driver removed while packets come" remove
if [[ $CARD != 0x100e ]]; then
	DRIVER=e1000_rust CARD=0x100e PEER_DRIVER=e1000e QUEUES='' again jumbo
fi
