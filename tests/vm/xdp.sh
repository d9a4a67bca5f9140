#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# XDP programs on the driver: what each verdict does to numbered packets. On the
# C driver, which has no native XDP, the generic one stands in. ATTACHES is how often
# programs come and go under traffic.

cd "$(dirname "$0")/.." || exit
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh
# Less than the RX ring holds: what QEMU has queued for a device comes all at once.
N=200
ATTACHES=${ATTACHES:-15}

plan 19 2

# runs: how often the attached program ran; there is no other.
runs() {
	bpftool prog show | awk '/ name xdp_/ { for (i = 1; i < NF; i++) if ($i == "run_cnt") n += $(i + 1) } END { print n + 0 }'
}

# send [BYTES]: N numbered UDP packets from the peer, filled up to BYTES.
send() {
	in_peer bash -c "for ((i = 0; i < $N; i++)); do printf '%-${1:-0}s' \"packet \$i.\" >/dev/udp/$ADDR/7; done"
}

# capture DEVICE FILTER [COMMAND...]: what arrives there, and the rest of it by seen(). COMMAND runs it elsewhere.
capture() {
	local dev=$1 filter=$2
	shift 2
	# It is the new one that has to say that it listens.
	rm -f /tmp/capture.err
	"$@" tcpdump -Z root --immediate-mode -B 8192 -s 128 -l -n -i "$dev" -Q "in" -A "$filter" >/tmp/capture 2>/tmp/capture.err &
	CAPTURE=$!
	eventually 10 grep -q "listening on" /tmp/capture.err
}

# seen [LEAST]: how many different packets, when all have been through the program. tcpdump may need a
# while for LEAST of them.
seen() {
	local least=${1:-0} last=-1 now=0 end=$((SECONDS + 20 * RPP_SLOW))
	eventually 30 all_ran
	while ((now != last || now < least && SECONDS < end)); do
		sleep 1
		last=$now
		now=$(grep -o 'packet [0-9]*\.' /tmp/capture | sort -u | wc -l)
	done
	kill "$CAPTURE"
	wait "$CAPTURE" || true
	echo "program ran $(runs) times, $now packets seen" >&2
	echo "$now"
}

all_ran() { (($(runs) >= N)); }
# captured PATTERN: N packets, at least.
captured() { (($(grep -c "$1" /tmp/capture) >= N)); }

prepare() {
	sysctl -q kernel.bpf_stats_enabled=1
	load_driver
	up
	ping_peer
}

pass() {
	attach pass
	ping_peer 20
	check runs "$(runs)" -ge 20
	capture "$(iface)" "udp port 7"
	send
	check "packets passed" "$(seen "$N")" -eq "$N"
	detach
	ping_peer
}

drop() {
	attach drop
	capture "$(iface)" "udp port 7"
	local cached
	has_pool && cached=$(count rx_pp_recycle_cached)
	send
	check "packets passed" "$(seen)" -eq 0
	check runs "$(runs)" -ge "$N"
	fails pings
	if has_pool; then check "recycled in NAPI" $(($(count rx_pp_recycle_cached) - cached)) -ge "$N"; fi
	pool_clean
	detach
	ping_peer
}

# In steady state no page is made, mapped, or lost on the way.
drop_flood() {
	has_pool || skip "no pool"
	local before after i
	attach drop
	flood_start 7
	sleep $((2 * RPP_SLOW))
	before=$(count rx_pp_mapped)
	i=$(runs)
	sleep 5
	after=$(count rx_pp_mapped)
	i=$(($(runs) - i))
	traffic_stop
	echo "$i packets"
	check packets "$i" -gt 1000
	check "mappings made in steady state" $((after - before)) -eq 0
	detach
	settle
	pool_clean
}

# The packets come back to their sender, with the addresses swapped.
tx() {
	attach tx
	capture "$PEER" "udp port 7 and ether src $MAC and ether dst $PEER_MAC" ip netns exec peer
	send
	check "packets sent back" "$(seen "$N")" -eq "$N"
	check runs "$(runs)" -ge "$N"
	fails pings
	# More than a TX ring holds at once.
	flood_start 7
	sleep 3
	traffic_stop
	detach
	settle
	pool_clean
}

# Of what is cut off nothing is sent, although a frame has at least 60 bytes.
tx_short() {
	is_rust || skip "no native XDP"
	local packets bytes
	attach short
	# First the bytes, at the end last: the stack may send something in between.
	bytes=$(stat_of tx_bytes) packets=$(stat_of tx_packets)
	capture "$PEER" "ether src $MAC and ether dst $PEER_MAC" ip netns exec peer
	send
	eventually 20 captured 'IP \|ethertype\|ARP'
	check "packets whose content is seen" "$(seen)" -eq 0
	packets=$(($(stat_of tx_packets) - packets)) bytes=$(($(stat_of tx_bytes) - bytes))
	check "packets sent back" "$packets" -ge "$N"
	# The stack may send something as well, which is no shorter.
	check "bytes of all" "$bytes" -ge $((packets * 60))
	detach
	settle
	pool_clean
}

aborted() {
	local events=/sys/kernel/tracing
	attach aborted
	capture "$(iface)" "udp port 7"
	echo >"$events/trace"
	echo 1 >"$events/events/xdp/xdp_exception/enable"
	send
	check "packets passed" "$(seen)" -eq 0
	echo 0 >"$events/events/xdp/xdp_exception/enable"
	check "tracepoints" "$(grep -c "xdp_exception.*action=ABORTED" "$events/trace")" -ge "$N"
	echo >"$events/trace"
	pool_clean
	detach
	ping_peer
}

# Out of the same device: its ndo_xdp_xmit.
redirect_same() {
	attach redirect
	to_port "$(iface)"
	capture "$PEER" "udp port 7" ip netns exec peer
	send
	check "packets sent" "$(seen "$N")" -eq "$N"
	flood_start 7
	sleep 3
	traffic_stop
	detach
	settle
	pool_clean
}

# Into a veth, whose other end makes skbs from the frames: pages come back from there.
redirect_veth() {
	local ring=0
	far_up
	ip -n far link set far address "$MAC"
	ip -n far addr add "$ADDR/24" dev far
	attach redirect
	to_port near
	if has_pool; then ring=$(count rx_pp_recycle_ring); fi
	capture far "udp port 7" ip netns exec far
	send
	check "packets redirected" "$(seen "$N")" -eq "$N"
	if has_pool; then check "pages back by the hook" $(($(count rx_pp_recycle_ring) - ring)) -ge $((N / 4)); fi
	# The receiver goes away while it has packets.
	flood_start 7
	sleep 1
	ip netns del far
	sleep 1
	traffic_stop
	eventually 5 test ! -e /sys/class/net/near
	detach
	settle
	pool_clean
}

# From a veth, by which shorter frames may come than Ethernet has.
redirect_short() {
	local zeroes='ether[44:4] = 0 and ether[48:4] = 0 and ether[52:4] = 0 and ether[56:4] = 0' packets bytes
	is_rust || skip "no native XDP"
	far_up
	ip -n far addr add 10.9.0.3/24 dev far
	ip -n far neigh replace "$PEER_ADDR" lladdr "$PEER_MAC" dev far
	ip -force link set dev near xdpdrv obj samples/xdp/xdp_redirect.o sec xdp
	to_port "$(iface)"
	capture "$PEER" "src host 10.9.0.3 and udp and $zeroes" ip netns exec peer
	bytes=$(stat_of tx_bytes) packets=$(stat_of tx_packets)
	ip netns exec far bash -c "for ((i = 0; i < $N; i++)); do printf . >/dev/udp/$PEER_ADDR/7; done"
	eventually 20 captured UDP
	seen
	packets=$(($(stat_of tx_packets) - packets)) bytes=$(($(stat_of tx_bytes) - bytes))
	ip netns del far
	check "packets sent" "$packets" -ge "$N"
	check "bytes of all" "$bytes" -ge $((packets * 60))
	check "packets captured, filled up with zeroes" "$(grep -c UDP /tmp/capture)" -eq "$N"
	pool_clean
}

# Into a tap that nobody reads: it gets no more than nine tenths of the pages, and packets for the
# stack are copied meanwhile.
redirect_hoarder() {
	local refused dev
	dev=$(iface)
	has_pool || skip "no pool"
	modprobe tun
	socat -u TUN,tun-name=sink,tun-type=tap,iff-no-pi OPEN:/dev/null &
	local hoarder=$!
	eventually 10 test -e /sys/class/net/sink
	kill -STOP "$hoarder"
	ip link set sink txqueuelen 8000 up
	attach redirect
	to_port sink
	flood_start 7
	eventually 60 refuses || { cat "$DEBUGFS/pools"; ethtool -S "$dev"; ip -s link show sink; return 1; }
	traffic_stop
	eventually 90 quiet
	refused=$(count rx_drop_limit)
	echo "$(outstanding) outstanding, $(owned) owned of $(max_owned), $refused refused"
	check "pages in use" $(($(outstanding) + $(ring_pages))) -ge $(($(max_owned) * 85 / 100))
	check "pages in use" $(($(outstanding) + $(ring_pages))) -le $(($(max_owned) * 92 / 100))
	check "allocations at the limit" "$(count rx_pp_alloc_limit)" -eq 0
	detach
	ping_peer 20
	check "packets refused that were for the stack" "$(count rx_drop_limit)" -eq "$refused"
	kill -KILL "$hoarder"
	wait "$hoarder" || true
	pool_clean
}
refuses() { (($(count rx_drop_limit) > 1000)); }

# More frames from a veth than the ring holds, which nobody cleans meanwhile: they fill it. The stack waits for
# room, and is not refused with NETDEV_TX_BUSY. (XDP_TX takes the same way into the ring, but comes from the poll,
# which has just cleaned it.)
redirect_full() {
	local events=/sys/kernel/tracing/events dev sent full
	is_rust || skip "no native XDP"
	dev=$(iface)
	ethtool -G "$dev" tx 80
	far_up
	ip -n far addr add 10.9.0.3/24 dev far
	ip -n far neigh replace "$PEER_ADDR" lladdr "$PEER_MAC" dev far
	ip -force link set dev near xdpdrv obj samples/xdp/xdp_redirect.o sec xdp
	to_port "$dev"
	settle
	sent="hist:keys=rc if name == \"$dev\"" full="hist:keys=act if drops > 0"
	echo "$sent" >$events/net/net_dev_xmit/trigger
	echo "$full" >$events/xdp/xdp_devmap_xmit/trigger
	starve
	ip netns exec far bash -c "for ((i = 0; i < 100; i++)); do printf . >/dev/udp/$PEER_ADDR/7; done"
	# Not for long: the core complains of a queue that stands still for five seconds.
	fails pings
	feed
	ping_peer
	grep -h "^{" $events/{net/net_dev_xmit,xdp/xdp_devmap_xmit}/hist
	check "times that XDP found the ring full" "$(hits xdp/xdp_devmap_xmit)" -gt 0
	check "packets that the stack sent" "$(hits net/net_dev_xmit "rc: *0 ")" -ge 4
	check "packets that the stack was refused" "$(hits net/net_dev_xmit "rc: *16 ")" -eq 0
	echo "!$sent" >$events/net/net_dev_xmit/trigger
	echo "!$full" >$events/xdp/xdp_devmap_xmit/trigger
	ip netns del far
	ethtool -G "$dev" tx 256
	settle
	pool_clean
}
# hits EVENT [KEY]: how often it was, by its histogram.
hits() { awk -v key="^{ .*$2" '$0 ~ key { n += $NF } END { print n + 0 }' "/sys/kernel/tracing/events/$1/hist"; }

# Programs take all of their buffers, while packets that share a page with those wait in a socket: nothing of these
# is changed.
fill() {
	local i least=1600 most=1728
	is_rust || skip "no native XDP"
	[[ $(per_page) == 2 ]] || least=3600 most=3776
	hold 7000 64 /tmp/dump
	attach fill
	for ((i = 0; i < N; i++)); do printf '%-1400s' "packet $i."; done >/tmp/kept
	in_peer bash -c "for ((i = 0; i < $N; i++)); do
			printf '%-1400s' \"packet \$i.\" >/dev/udp/$ADDR/7000
			printf '%-1400s' fill >/dev/udp/$ADDR/7
			((i % 3)) || printf '%-700s' fill >/dev/udp/$ADDR/7
		done"
	eventually 30 filled $((N + N / 3))
	echo "start moved by $(taken 1) bytes, $(taken 2) bytes written"
	check "bytes that the start moved" "$(taken 1)" -ge 150
	check "bytes written" "$(taken 2)" -ge "$least"
	check "bytes written" "$(taken 2)" -le "$most"
	detach
	kill -CONT "$HOLDER"
	eventually 10 cmp /tmp/dump /tmp/kept || { ls -l /tmp/dump /tmp/kept; cmp /tmp/dump /tmp/kept; }
	end_hold
	pool_clean
}
# taken N: what the program has noted.
taken() { bpftool -j map dump name taken | grep -o '"key":'"$1"',"value":[0-9]*' | grep -o '[0-9]*$'; }
filled() { (($(taken 0) >= $1)); }

# A small packet is copied; of a large one the page becomes the skb, unless the pool has few left. The
# stack gets the same each time.
metadata() {
	local dev pressure
	is_rust || skip "no native XDP"
	dev=$(iface)
	modprobe -a sch_ingress cls_bpf
	attach meta
	tc qdisc add dev "$dev" clsact
	tc filter add dev "$dev" ingress bpf direct-action obj samples/xdp/xdp_meta.o sec tc
	marked
	# The first packets that are large find out that the pages of the last test are home.
	marked 1000
	pressure=$(count rx_pp_pressure)
	marked 1000
	check "packets copied for want of pages" "$(count rx_pp_pressure)" -eq "$pressure"
	if ! has_pool; then
		tc qdisc del dev "$dev" clsact
		detach
		return
	fi
	hold 5001
	flood_start 5001
	eventually 60 more_than $((pressure + 1000)) rx_pp_pressure
	traffic_stop
	settle
	pressure=$(count rx_pp_pressure)
	marked 1000
	# Not all, perhaps: where the pressure begins it comes and goes.
	check "packets copied for want of pages" $(($(count rx_pp_pressure) - pressure)) -ge $((N / 2))
	end_hold
	tc qdisc del dev "$dev" clsact
	detach
	pool_clean
}
# marked [BYTES]: N packets of that size reach tc with their metadata.
marked() {
	local before
	before=$(kinds 0)
	send "$@"
	eventually 20 more_kinds $((before + N)) || { bpftool map dump name seen; return 1; }
	check "packets without metadata" "$(kinds 1)" -eq 0
}
# kinds I: what seen[I] says. (XDP's and tc's program have a map each.)
kinds() { bpftool -j map dump name seen | grep -o "\"key\":$1,\"value\":[0-9]*" | awk -F: '{ n += $3 } END { print n + 0 }'; }
more_kinds() { (($(kinds 0) >= $1)); }

under_traffic() {
	local i
	traffic_start
	for ((i = 0; i < ATTACHES; i++)); do
		attach drop
		attach pass
		attach tx
		detach
	done
	traffic_stop
	settle
	ping_peer 10
	pool_clean
}

# A program stays while the interface is down, and when it gets other rings.
# The transmit ring stays, and has pages of the pool that goes, which the device reads over the pool's mappings.
restart_tx() {
	is_rust || skip "another driver"
	local dir
	dir=/sys/class/net/$(iface)
	insmod restart.ko
	attach tx
	# What was sent back by one poll is in the ring until the next one, so that comes late.
	echo 2000000000 >"$dir/gro_flush_timeout"
	echo 1000 >"$dir/napi_defer_hard_irqs"
	for _ in 1 2 3; do
		pktgen 64 60 32
		restart_one 0
		# QEMU's device is deaf for a second after that, and the poll comes in two.
		sleep 3
	done
	echo 0 >"$dir/gro_flush_timeout"
	echo 0 >"$dir/napi_defer_hard_irqs"
	rmmod restart
	detach
	settle
	ping_peer 10
	pool_clean
	# What the kernel's pool has counted wrong it says at its end.
	ip link set "$(iface)" down
	up
}

reopen() {
	attach pass
	ip link set "$(iface)" down
	up
	ethtool -G "$(iface)" rx 512
	settle
	ping_peer 10
	check runs "$(runs)" -ge 10
	attach drop
	ethtool -G "$(iface)" rx 256
	eventually 30 carrier
	fails pings
	ip link set "$(iface)" down
	detach
	up
	ping_peer
}

mtu() {
	is_rust || skip "no native XDP"
	local dev max
	dev=$(iface)
	attach pass
	max=$(ip -d link show dev "$dev" | sed -n 's/.* maxmtu \([0-9]*\).*/\1/p')
	fails ip link set "$dev" mtu $((max + 1))
	fails ip link set "$dev" mtu 9000
	ip link set "$dev" mtu 1400
	settle
	ip link set "$dev" mtu 1500
	detach
	settle
}

remove() {
	attach tx
	flood_start 7
	sleep 1
	remove_driver
	traffic_stop
	load_driver
	up
	settle
	remove_driver
}

peer_up
sink
try "no program: packets arrive" prepare
try "PASS: $N packets arrive" pass
try "DROP: none arrives" drop
try "DROP: no page is made in steady state" drop_flood
try "TX: all come back to the sender" tx
try "TX of frames that are cut: filled up with zeroes" tx_short
try "ABORTED: none arrives, each is reported" aborted
try "REDIRECT to the device itself: all are sent" redirect_same
try "REDIRECT to a veth: all arrive there" redirect_veth
try "REDIRECT from a veth, short frames: filled up with zeroes" redirect_short
try "REDIRECT from a veth fills the ring: the stack waits for room" redirect_full
try "REDIRECT to a tap that keeps them: refused at nine tenths" redirect_hoarder
try "a program fills all of its buffers: the others stay as they are" fill
try "PASS with metadata: the stack has them, copied or not" metadata
try "programs attached and detached, under traffic" under_traffic
try "one receive queue restarted, while XDP sends back" restart_tx
try "program kept over down, up, and other rings" reopen
try "MTU that is too large for XDP" mtu
try "driver removed with a program, under traffic" remove
