#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The driver as a network card: traffic and its settings. MB is how much TCP carries
# in each direction, UPDOWNS how often the interface goes down and up, LOADS how often
# the modules come and go.

cd "$(dirname "$0")/.." || exit
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh
# shellcheck source=hold.sh
. tests/hold.sh
MB=${MB:-64} UPDOWNS=${UPDOWNS:-50} LOADS=${LOADS:-14}

plan 26 5

probe() {
	load_driver
	check "MAC address from the EEPROM" "$((16#$(tr -d : <"/sys/class/net/$(iface)/address")))" \
		"==" "$((16#${MAC//:/}))"
	up
}

mac_and_ping() {
	ping_peer 10
	ip -s link show dev "$(iface)"
	check "packets received" "$(stat_of rx_packets)" -ge 10
	check "packets sent" "$(stat_of tx_packets)" -ge 10
	# Larger than a frame: fragments both ways.
	ping -q -c 3 -i 0.2 -W 5 -s 20000 "$PEER_ADDR"
	# From the smallest frame up, each length once.
	local size
	for size in 0 1 17 18 19 60 100 127 128 129 255 256 257 512 1000 1471 1472; do
		ping -q -c 1 -W 5 -M "do" -s "$size" "$PEER_ADDR"
	done
}

# tcp DIRECTION COUNTER: MB megabytes of a known content.
tcp() {
	local to=$ADDR before here=() there=(in_peer)
	if [[ $1 == out ]]; then
		to=$PEER_ADDR here=(in_peer) there=()
	fi
	before=$(stat_of "$2")
	# shellcheck disable=SC2016 # the inner shell's variables
	"${here[@]}" socat -u TCP4-LISTEN:5001,reuseaddr STDOUT | sha256sum >/tmp/got &
	# Listening: nobody is at the other end.
	eventually 10 "${here[@]}" grep -q ":1389 00000000:0000 " /proc/net/tcp
	content | "${there[@]}" socat -u STDIN "TCP4:$to:5001"
	wait $!
	cat /tmp/want /tmp/got
	cmp /tmp/want /tmp/got
	check "bytes over the wire" $(($(stat_of "$2") - before)) -gt $((MB << 20))
}

content() {
	local i
	for ((i = 0; i < MB / 16; i++)); do cat /tmp/content; done
}

prepare_content() {
	head -c 16M /dev/urandom >/tmp/content
	content | sha256sum >/tmp/want
}

mtu() {
	local dev
	dev=$(iface)
	ip link set "$dev" mtu 1000
	settle
	ping -q -c 3 -i 0.2 -W 5 -M "do" -s 972 "$PEER_ADDR"
	fails ping -q -c 1 -W 1 -M "do" -s 973 "$PEER_ADDR"
	fails ip link set "$dev" mtu 60000
	traffic_start
	for mtu in 1400 600 1280 1500; do
		ip link set "$dev" mtu "$mtu"
		eventually 30 carrier
		sleep 0.3
	done
	traffic_stop
	settle
	ping -q -c 3 -i 0.2 -W 5 -M "do" -s 1472 "$PEER_ADDR"
}

updown() {
	local dev i
	dev=$(iface)
	traffic_start
	for ((i = 0; i < UPDOWNS; i++)); do
		ip link set "$dev" down
		ip link set "$dev" up
	done
	traffic_stop
	up
	ping_peer
}

# Queue, NAPI instance and interrupt belong together, and the instance keeps its number.
queues() {
	local dev index rx tx irq
	dev=$(iface)
	index=$(<"/sys/class/net/$dev/ifindex")
	./napis
	rx=$(of_netdev queue "ifindex=$index" id=0 type=0 napi-id)
	tx=$(of_netdev queue "ifindex=$index" id=0 type=1 napi-id)
	check "NAPI instance" "$rx" -gt 0
	[[ $DRIVER == e1000 ]] || check "NAPI instance of the transmit queue" "$tx" -eq "$rx"
	irq=$(of_netdev napi "id=$rx" irq)
	is_rust || return 0
	grep "^ *$irq:.*\b$dev\b" /proc/interrupts
	ip link set "$dev" down
	check "NAPI instance of a queue that is down" "$(of_netdev queue "ifindex=$index" id=0 type=0 napi-id)0" -eq 0
	up
	check "NAPI instance after down and up" "$(of_netdev queue "ifindex=$index" id=0 type=0 napi-id)" -eq "$rx"
}

# What was counted stays, and nothing is left of the pool that is gone.
counters_stay() {
	is_rust || skip "another driver"
	ping_peer 20
	all_counters >/tmp/before
	ethtool -G "$(iface)" rx 512
	all_counters >/tmp/after
	no_less
	ip link set "$(iface)" down
	[[ ! -e $DEBUGFS/pools ]] || fails grep ^pool "$DEBUGFS/pools"
	all_counters >/tmp/after
	no_less
	ethtool -G "$(iface)" rx 256
	up
	ping_peer 20
}

ethtool_info() {
	local dev
	dev=$(iface)
	ethtool -i "$dev" | grep -x "driver: $DRIVER"
	ethtool -k "$dev" | grep -c ': o'
	ethtool -S "$dev" | grep -c ': [0-9]'
	if has_pool; then
		local name
		for name in alloc_{fast,slow,slow_ho,empty,refill,waive} \
			recycle_{cached,cache_full,ring,ring_full,released_ref}; do
			check "rx_pp_$name" "$(count "rx_pp_$name")" -ge 0
		done
		check rx_pp_alloc_fast "$(count rx_pp_alloc_fast)" -gt 1000
		check rx_pp_recycle_ring "$(count rx_pp_recycle_ring)" -gt 1000
	fi
}

# When the driver gave a packet to the device, for who asked.
timestamp() {
	ethtool -T "$(iface)" | grep software-transmit
	./stamp "$PEER_ADDR" 7
}

# What another device may send, and tc mirrors: more than a descriptor can say, and than the device can
# send.
too_long() {
	local dropped size dev
	is_rust || skip "another driver"
	dev=$(iface)
	ip link set lo up
	tc qdisc add dev lo clsact
	tc filter add dev lo egress matchall action mirred egress mirror dev "$dev"
	dropped=$(stat_of tx_dropped)
	for size in 65507 16100; do
		socat -u -b "$size" "OPEN:/tmp/content,readbytes=$size" UDP4-SENDTO:127.0.0.1:7
	done
	tc qdisc del dev lo clsact
	check "packets dropped" $(($(stat_of tx_dropped) - dropped)) -eq 2
	ping_peer
}

# The interface stays up meanwhile, and sends.
restart_queue() {
	is_rust || skip "another driver"
	local dev changes
	dev=$(iface)
	insmod restart.ko
	ping_peer
	changes=$(<"/sys/class/net/$dev/carrier_changes")
	all_counters >/tmp/before
	traffic_start
	for _ in 1 2 3 4 5; do
		restart_one 0
		# QEMU's device is deaf for a second after that.
		eventually 20 pings
	done
	traffic_stop
	all_counters >/tmp/after
	no_less
	check "carrier changes" "$(<"/sys/class/net/$dev/carrier_changes")" -eq "$changes"
	fails restart_one 1
	ip link set "$dev" down
	restart_one 0
	up
	ping_peer
	pool_clean
	rmmod restart
}

# Full packets with VLAN tags in front, at the usual MTU. The card takes frames of 1,522 bytes with their CRC where
# it is not told otherwise, QEMU's without; so with three tags there is one more than there are in QinQ.
vlan_tags() {
	local tag dev proto=802.1ad below
	is_rust || skip "another driver"
	modprobe 8021q || skip "no VLANs"
	dev=$(iface)
	# More than one is for a link of a larger MTU, as with other cards.
	ip link set "$dev" mtu 1508
	ip -n peer link set "$PEER" mtu 1600
	below=$PEER
	for tag in 1 2 3; do
		ip link add link "$dev" name "tag$tag" mtu 1500 up type vlan protocol "$proto" id "$tag"
		ip -n peer link add link "$below" name "tag$tag" mtu 1500 up type vlan protocol "$proto" id "$tag"
		ip addr add "10.9.$tag.1/24" dev "tag$tag"
		ip -n peer addr add "10.9.$tag.2/24" dev "tag$tag"
		dev=tag$tag below=tag$tag proto=802.1Q
	done
	settle
	for tag in 1 2 3; do
		ping -q -c 3 -i 0.2 -W 5 -M "do" -s 1472 "10.9.$tag.2"
	done
	ip link del tag1
	ip -n peer link del tag1
	ip -n peer link set "$PEER" mtu 1500
	ip link set "$(iface)" mtu 1500
	settle
}

# Addresses of devices above it are in the card's filters, of which it has 14; with one more it takes all frames.
addresses() {
	local dev n
	is_rust || skip "another driver"
	modprobe 8021q || skip "no VLANs"
	dev=$(iface)
	for n in {10..26}; do
		ip link add link "$dev" name "own$n" address "52:54:00:00:01:$n" type vlan id "$n"
	done
	settle
	fails hears 52:54:00:00:01:10
	for n in {10..23}; do ip link set "own$n" up; done
	for n in 10 17 23; do eventually 5 hears "52:54:00:00:01:$n"; done
	fails hears 52:54:00:00:01:25
	ip link set own25 up
	for n in 10 25 26; do eventually 5 hears "52:54:00:00:01:$n"; done
	# A restart does not forget them.
	ip link set own25 down
	ethtool -G "$dev" rx 512
	eventually 30 pings
	eventually 5 hears 52:54:00:00:01:23
	fails hears 52:54:00:00:01:25
	ethtool -G "$dev" rx 256
	for n in {10..26}; do ip link del "own$n"; done
	settle
	fails hears 52:54:00:00:01:10
}
# hears ADDRESS: frames to that one are received.
hears() {
	local before
	ip -n peer neigh replace 10.9.0.99 lladdr "$1" dev "$PEER" nud permanent
	before=$(stat_of rx_packets)
	in_peer ping -q -c 8 -i 0.02 -W 0.3 10.9.0.99 || true
	(($(stat_of rx_packets) - before >= 8))
}

# At the usual MTU two packets share a page, unless there is no pool: the ring takes half the pages, and a socket
# that nobody reads keeps as many packets as with C drivers.
halves() {
	local dev size whole half
	dev=$(iface)
	if has_pool; then
		ip link set "$dev" mtu 1504
		whole=$(owned_when_busy)
		ip link set "$dev" mtu 1500
		half=$(owned_when_busy)
		check "pages owned, of $whole" "$half" -le $((whole * 60 / 100))
	fi
	for size in 300 1400; do
		settle
		check "packets of $size bytes in a socket" "$(keeps "$size")" -ge $((45 * $(per_page)))
	done
	pool_clean
}
owned_when_busy() {
	settle
	flood_start 7
	sleep $((3 * RPP_SLOW))
	owned
	traffic_stop
}
# keeps SIZE: how many packets a socket with default buffers keeps.
keeps() {
	local kept
	hold 9000 0
	to_holder 9000 200 "$1"
	kept=$((200 - $(awk '$2 ~ /:2328$/ { print $NF }' /proc/net/udp)))
	end_hold
	echo "$kept"
} 2>/dev/null

# One of two packets in a page is enough to keep it. When a socket keeps many, each further packet is charged for its
# page, and only as long as that is so.
surcharge() {
	has_pool || skip "no pool"
	hold 9000 64
	check "bytes that a packet is charged for" "$(charged_for_each)" -le 2500
	to_holder 9000 1400 1400
	busy
	check "bytes that a packet is charged for, while many are kept" "$(charged_for_each)" -gt 4096
	end_hold
	busy
	hold 9000 64
	check "bytes that a packet is charged for, afterwards" "$(charged_for_each)" -le 2500
	end_hold
	pool_clean
}
# busy: packets enough for the pool to see what is kept.
busy() {
	flood_start 7
	sleep $((2 * RPP_SLOW))
	traffic_stop
	settle
}
charged_for_each() {
	local before
	before=$(charged 9000)
	to_holder 9000 50 1400
	echo $((($(charged 9000) - before) / 50))
}

# More lines for netconsole than the ring holds, while its NAPI thread gets no time: netpoll itself has to ask the
# driver for descriptors that are done.
netpoll() {
	local dev i
	is_rust || skip "another driver"
	dev=$(iface)
	modprobe netconsole "netconsole=6665@$ADDR/$dev,6666@$PEER_ADDR/$PEER_MAC" || skip "no netconsole"
	ethtool -G "$dev" tx 80
	settle
	# It may not run before all have come: what a socket takes by default is 277 of them.
	ip netns exec peer socat -u UDP4-RECV:6666,rcvbuf=200000 OPEN:/tmp/lines,creat,trunc &
	eventually 10 in_peer grep -q ":1A0A 00000000:0000 " /proc/net/udp
	sysctl -qw kernel.printk_devkmsg=on
	starve
	for ((i = 0; i < 300; i++)); do echo "<6>netconsole $i." >/dev/kmsg; done
	eventually 15 lines_came 300 || { lines; return 1; }
	feed
	rmmod netconsole
	sysctl -qw kernel.printk_devkmsg=ratelimit
	ethtool -G "$dev" tx 256
	ping_peer
}
lines() { grep -o "netconsole [0-9]*\." /tmp/lines | sort -u | wc -l; }
lines_came() { (($(lines) == $1)); }

ethtool_rings() {
	local dev size
	dev=$(iface)
	traffic_start
	for size in 80 512 4096 256; do
		ethtool -G "$dev" rx "$size" tx "$size"
		check "RX ring" "$(ring RX)" -eq "$size"
		check "TX ring" "$(ring TX)" -eq "$size"
		eventually 60 pings
	done
	traffic_stop
	fails ethtool -G "$dev" rx 100000
	ping_peer
}

# A socket takes all that it gets, and reads nothing. The others must not notice.
limit() {
	local i top=0 now given max
	has_pool || skip "no pool"
	start_hold socket 7000
	held bound 1
	flood_start 7000
	for ((i = 0; i < 600; i++)); do
		now=$(owned)
		((now > top)) && top=$now
		(($(count rx_pp_pressure) > 1000)) && break
		sleep 0.1
	done
	max=$(max_owned) given=$(($(outstanding) + $(ring_pages)))
	echo "at most $top pages owned of $max, $given with the stack and the device"
	# The driver copies when a quarter is left.
	check "pages given away" "$given" -gt $((max * 70 / 100))
	check "pages given away" "$given" -lt $((max * 80 / 100))
	check "times that there was no page" "$(count rx_pp_alloc_limit)" -eq 0
	check "packets copied for want of pages" "$(count rx_pp_pressure)" -gt 1000
	check "pages owned" "$top" -le "$max"
	allocated_at_most "$max"
	eventually 30 pings
	traffic_stop
	check "pages owned" "$(owned)" -le "$max"
	ping_peer 20
	let_go
	eventually 1 none_outstanding
	pool_clean
}

# Who has the pages, as one who looks for a leak sees it: clones of packets that arrived by IPv4 and
# IPv6.
holders() {
	local what n halves
	has_pool || skip "no pool"
	start_hold packet "$(iface)"
	held bound 1
	send_udp 100
	ip -n peer neigh replace fe80::1 lladdr "$MAC" dev "$PEER"
	in_peer socat -u -b 1400 OPEN:/tmp/content,readbytes=70000 "UDP6-SENDTO:[fe80::1%$PEER]:7006"
	eventually 10 misses $((140 / $(per_page)))
	cat "$DEBUGFS/outstanding"
	# Of some the pool uses the other half, and when they left is not known. How many that are depends on what was
	# in NAPI's cache.
	halves=$(reported "half of it in use")
	n=$(($(outstanding) - halves))
	check "packets" $((n * $(per_page) + halves)) -ge 140
	check "pages that are all out" "$n" -gt 0
	for what in "outstanding" "left less than 1" "with $(per_page) references" "came with protocol 17, "; do
		check "pages: $what" "$(reported "$what")" -ge $((n * 9 / 10))
	done
	grep "protocol 17, $PEER_ADDR:[0-9]* > $ADDR:7000: [0-9]" "$DEBUGFS/outstanding"
	grep "protocol 17, \[fe80::.*\]:[0-9]* > \[fe80::1\]:7006: [0-9]" "$DEBUGFS/outstanding"
	sleep 10
	check "pages that left longer ago" "$(reported "left less than 60 s ago")" -ge $((n * 9 / 10))
	let_go
	eventually 1 none_outstanding
	check "pages reported" "$(reported outstanding)" -eq 0
}

# The limit is lowered below what a socket has: not a page is taken any more, and all others go on with
# copies. Pages above the limit go when they come back.
lower_limit() {
	local i max low=600 copied mapped
	has_pool || skip "no pool"
	max=$(max_owned)
	start_hold socket 7000
	held bound 1
	flood_start 7000
	# (What the pool owns may be home since the last test.)
	eventually 20 gives_more_than $((max / 2))
	traffic_stop
	eventually 90 quiet
	check "pages outstanding" "$(outstanding)" -gt $((max / 2))
	fails limit_to $((max + 1))
	fails bash -c "echo nonsense >$DEBUGFS/limits"
	limit_to "$low"
	grep -x "  limit $low" "$DEBUGFS/limits"
	copied=$(count rx_pp_pressure_high) mapped=$(count rx_pp_mapped)
	flood_start 7
	eventually 20 more_than $((copied + 1000)) rx_pp_pressure_high
	traffic_stop
	check "pages taken at the limit" $(($(count rx_pp_mapped) - mapped)) -eq 0
	check "pages outstanding" "$(outstanding)" -gt "$low"
	ping_peer 20
	let_go
	traffic_start
	eventually 30 owns_at_most "$low"
	traffic_stop
	# And no more than that, by two counts, while a socket takes what it gets.
	start_hold socket 7000
	held bound 1
	flood_start 7000
	for ((i = 0; i < 20; i++)); do
		check "pages owned" "$(owned)" -le "$low"
		check "pages mapped" "$(mapped)" -le "$low"
		sleep 0.2
	done
	check "pages outstanding" "$(outstanding)" -gt 100
	traffic_stop
	allocated_at_most "$low"
	let_go
	limit_to "$max"
	ping_peer 20
	pool_clean
	none_lost
	ping_peer 20
}

# Fewer pages than the ring has: all that comes is copied, and nothing dropped. The ring keeps its pages.
no_page_at_limit() {
	local max dropped mapped
	has_pool || skip "no pool"
	max=$(max_owned)
	limit_to 100
	dropped=$(stat_of rx_dropped) mapped=$(count rx_pp_mapped)
	flood_start 7
	eventually 20 more_than 1000 rx_pp_pressure_high
	traffic_stop
	check "pages taken at the limit" $(($(count rx_pp_mapped) - mapped)) -eq 0
	ping_peer 20
	check "packets dropped" "$(stat_of rx_dropped)" -eq "$dropped"
	limit_to "$max"
	ping_peer 20
	none_lost
	ping_peer 20
}

# allocated_at_most N: not by the pool's own count. (Of what is with the stack all is seen.)
allocated_at_most() {
	local pages
	[[ $CHECKERS ]] || return 0
	pages=$(pages_of_pools)
	check "pages allocated for the pool" "$pages" -le "$1"
	check "pages allocated for the pool" "$pages" -ge "$(outstanding)"
	check "pages allocated for the pool" "$pages" -gt 0
}
gives_more_than() { (($(outstanding) > $1)); }
owns_at_most() { (($(owned) <= $1)); }

bytes_came() { (($(stat_of rx_bytes) > $1)); }

# TCP sockets are cut off.
reload_tcp() {
	local i
	for ((i = 0; i < 3; i++)); do
		socat -u TCP4-LISTEN:5002,reuseaddr OPEN:/dev/null &
		eventually 10 has_socket tcp 5002
		ip netns exec peer socat -u OPEN:/dev/zero "TCP4:$ADDR:5002" &
		eventually 10 bytes_came 1000000
		unload_driver
		load_driver
		up
		kill %+ %- 2>/dev/null || true
	done
	ping_peer
}

# Memory stays the same over eight loads with traffic, once those before have filled the caches. What
# one load takes is more than a megabyte.
leak() {
	local i before
	remove_modules
	for ((i = 0; i < LOADS; i++)); do
		load_driver
		up
		ping -q -f -c 200 "$PEER_ADDR"
		remove_modules
		((i == LOADS - 9)) && before=$(free_kb)
	done
	lost "$before" 4000
	load_driver
	up
}

remove() {
	pool_clean
	remove_modules
	[[ ! -e $DEBUGFS ]]
}

peer_up
prepare_content
try "probe: interface, MAC address, carrier" probe
try "ping, packets of all lengths" mac_and_ping
try "TCP in, $MB MB" tcp in rx_bytes
try "TCP out, $MB MB" tcp out tx_bytes
try "all pages are back" pool_clean
try "ethtool: driver, features, statistics" ethtool_info
try "queue, NAPI instance, interrupt" queues
try "counters stay over rings, down and up" counters_stay
try "software time stamp of a packet sent" timestamp
try "frames that are too long to be sent" too_long
try "full packets with one, two and three VLAN tags" vlan_tags
try "addresses of devices above it" addresses
try "netconsole while NAPI gets no time" netpoll
try "ethtool: ring sizes, under traffic" ethtool_rings
try "one receive queue restarted, under traffic" restart_queue
try "MTU, under traffic" mtu
try "two packets in a page: the ring's pages, and what a socket keeps" halves
try "a socket that keeps many packets is charged for their pages" surcharge
try "ip link set up and down, $UPDOWNS times under traffic" updown
try "a socket hoards all pages it can get, and the NIC goes on" limit
try "who has the pages that are outstanding" holders
try "limit lowered while a socket has more pages" lower_limit
try "limit below the size of the ring" no_page_at_limit
try "driver removed and loaded, under TCP" reload_tcp
try "memory after loads and unloads" leak
try "removal" remove
