#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Everything at once, for MINUTES: packets of all kinds, and one thing after the
# other done to the interface, its driver, and those who keep its pages. With the same SEED it
# does the same things again. At each removal, and at the end, every packet and every page is
# accounted for. In ten minutes all of it has to have happened, in thirty on a slow kernel.

cd "$(dirname "$0")/.." || exit
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh
# shellcheck source=inject.sh
. tests/inject.sh
MINUTES=${MINUTES:-2}
SEED=${SEED:-$RANDOM}
BUS=/sys/bus/pci/drivers/$DRIVER

plan 4
echo "# soak for $MINUTES minutes, SEED=$SEED"

# What is done, as often as it is named here, in another order each time.
DEEDS=(updown updown rings rings mtu xdp xdp xdp xdp hoard hoard hoard release splice splice
	limit cpu cpu tracer faults faults unbind reload)

# draw DECK CARD...: CARD is the next one of a deck that is shuffled when it is used up.
declare -A LEFT
draw() {
	local deck=$1 cards i
	read -r -a cards <<<"${LEFT[$deck]-}"
	((${#cards[@]})) || cards=("${@:2}")
	i=$((RANDOM % ${#cards[@]}))
	CARD=${cards[i]}
	unset "cards[i]"
	LEFT[$deck]=${cards[*]}
}

# fate NAME N: what became of packets, summed up over all devices.
declare -A FATE COUNT
fate() { FATE[$1]=$((${FATE[$1]:-0} + $2)); }

# setup: a new device, and a count of what the stack gets from it, one packet at a time.
setup() {
	local dev
	dev=$(iface)
	use_queues
	ethtool -K "$dev" gro off
	tc qdisc add dev "$dev" clsact
	tc filter add dev "$dev" ingress matchall classid 1:1
	up
}

delivered() { tc -s filter show dev "$(iface)" ingress | sed -n 's/.*rule hit \([0-9]*\).*/\1/p'; }

# reconcile: the end of a device. Each packet that it has counted went somewhere.
reconcile() {
	local dev name n sum
	dev=$(iface)
	eventually 10 balanced || { balanced; return 1; }
	ip link set "$dev" down
	all_unmapped
	sum=$(delivered)
	fate delivered "$sum"
	for name in rx_xdp_{drop,tx,redirect,aborted} rx_drop_{limit,no_page,no_skb}; do
		n=$(count "$name")
		sum=$((sum + n))
		fate "${name#rx_}" "$n"
	done
	n=$(stat_of rx_packets)
	fate in "$n"
	fate broken "$(stat_of rx_errors)"
	echo "$n packets in, $sum accounted for"
	check "packets in, and those that are accounted for" "$n" -eq "$sum"
}

# balanced: the pages mapped are those unmapped and those that the pool has, of which some are with the
# stack. (With packets arriving, now and then only.)
balanced() {
	ethtool -S "$(iface)" | awk -v out="$(outstanding)" '
		{ n[$1] = $2 }
		END {
			mapped = n["rx_pp_mapped:"]; unmapped = n["rx_pp_unmapped:"]; owned = n["rx_pp_owned:"]
			print mapped " pages mapped, " unmapped " unmapped, " owned " owned, " out " outstanding"
			exit !(mapped > 0 && mapped == unmapped + owned && owned >= out)
		}'
}

# Packets without an end, in both directions; what fails because there is no interface begins again.
# A slow kernel is busy with packets alone when they come as fast as it takes them, and starting programs
# for each burst costs as much again: there pings go on at a steady rate, and TCP comes now and then.
traffic() {
	local size
	again socat -u TCP4-LISTEN:5001,reuseaddr,fork OPEN:/dev/null
	again ip netns exec peer socat -u TCP4-LISTEN:5001,reuseaddr,fork OPEN:/dev/null
	again ip netns exec peer timeout "$RUN" socat -u OPEN:/dev/zero "TCP4:$ADDR:5001"
	again timeout "$RUN" socat -u OPEN:/dev/zero "TCP4:$PEER_ADDR:5001"
	for size in 56 300 1472 6000; do
		again ip netns exec peer ping -q -s "$size" "${PINGS[@]}" "$ADDR"
	done
}
RUN=8 PAUSE=1 PINGS=(-f -l 4 -w 8)
((RPP_SLOW == 1)) || RUN=2 PAUSE=10 PINGS=(-i 0.5)

again() {
	while :; do
		"$@" || true
		sleep $((PAUSE / 2 + RANDOM % (PAUSE + 1)))
	done >/dev/null 2>&1 &
}

do_updown() {
	ip link set "$(iface)" down
	up
}

do_rings() { ethtool -G "$(iface)" rx $((80 + RANDOM % 200 * 8)) tx $((80 + RANDOM % 200 * 8)); }

do_mtu() {
	ip link set "$(iface)" mtu $((600 + RANDOM % 1101))
	eventually 30 carrier
}

do_xdp() {
	local before
	draw programs drop pass tx redirect adjust aborted off off
	detach
	[[ $CARD != off ]] || return 0
	before=$(count "rx_xdp_$CARD")
	attach "$CARD"
	# The map of an earlier program goes a little later than that.
	[[ $CARD != redirect ]] || eventually 10 to_port near
	# Traffic has pauses, and the next deed may take the program away. (Those that are not counted
	# do not wait.)
	[[ -z $before ]] || eventually 20 more_than "$before" "rx_xdp_$CARD" || true
}

# Sockets that are never read.
hoarders=()
do_hoard() {
	local port=$((7000 + RANDOM % 4))
	if has_socket udp "$port"; then return; fi
	hold "$port" 16
	hoarders+=("$HOLDER")
	flood_start "$port" 3
}

do_release() {
	for HOLDER in "${hoarders[@]}"; do end_hold; done
	hoarders=()
}

# Pages in pipes, for a while.
do_splice() {
	local port=$((7100 + RANDOM % 100)) seconds
	seconds=$((RANDOM % 6))
	sleep "$seconds" | timeout 20 ./hold splice "$port" &
	sleep 0.3
	ip netns exec peer timeout 5 socat -u OPEN:/dev/zero "TCP4:$ADDR:$port" &
}

# For a while fewer pages than the ring has: the stack gets copies then, and would not miss any, but the
# pool gives back all that it has to spare. With nothing left in its cache, the first packet that takes
# its page to the transmit ring finds no other.
do_limit() {
	local max refused
	max=$(($(ring RX) * 2 + 2048))
	# The next ring has a new pool, which begins at 0.
	refused=$(count rx_pp_alloc_limit)
	detach
	limit_to $((RANDOM % ($(ring RX) / 2)))
	flood_start 9
	sleep $((2 + PAUSE))
	attach tx
	eventually 20 more_than "$refused" rx_pp_alloc_limit || true
	traffic_stop || true
	fate at_limit $(($(count rx_pp_alloc_limit) - refused))
	detach
	limit_to $((max - RANDOM % (max * 3 / 4)))
}

# The interrupt, and with it NAPI, moves to another CPU: pages come back from this one.
do_cpu() {
	local irq
	irq=$(<"/sys/bus/pci/devices/$DUT/irq")
	[[ ! -e /proc/irq/$irq ]] || echo $((1 << RANDOM % $(nproc))) >"/proc/irq/$irq/smp_affinity"
}

do_tracer() {
	local t=/sys/kernel/tracing
	echo __folio_put free_unref_folios >$t/set_ftrace_filter
	echo function >$t/current_tracer
	sleep 0.5
	echo nop >$t/current_tracer
	echo >$t/set_ftrace_filter
}

do_faults() {
	local -A interval=([2]="50 1" [10]="10 1" [511]="100 511")
	local rate
	draw rates 2 10 511
	rate=$CARD
	draw kinds pages mappings skbs rings interrupts
	# shellcheck disable=SC2086 # two numbers
	if can_fail; then below ${interval[$rate]}; else refuse "$CARD" "$rate"; fi
	# QEMU's device is deaf for a second then.
	do_rings || true
	sleep $((2 + RPP_SLOW))
	ip link set "$(iface)" down
	ip link set "$(iface)" up || true
	sleep $((2 + RPP_SLOW))
	fate refused "$(if can_fail; then injected; else refused; fi)"
	if can_fail; then off; else rmmod refuse; fi
	# It may have found no memory to come up again.
	up
}

do_unbind() {
	reconcile
	echo "$DUT" >"$BUS/unbind"
	no_iface
	echo "$DUT" >"$BUS/bind"
	eventually 10 has_iface
	setup
}

# add_totals: before the pool's module goes, and with it what it has counted.
add_totals() {
	fate mapped "$(total mapped)"
	fate unmapped "$(total unmapped)"
}

# Also without those who keep pages letting go.
do_reload() {
	reconcile
	if ((RANDOM % 2)); then
		add_totals
		remove_modules
	else
		remove_driver
	fi
	load_driver
	setup
}

# IP keeps the fragments of a packet that was lost in part for half a minute, and up to two seconds more,
# for so coarse is a timer of that length.
no_fragments() { grep -q '^FRAG: inuse 0' /proc/net/sockstat; }

soak() {
	local end=$((SECONDS + MINUTES * 60)) minute=0 deed name n=0 start=$SECONDS
	RANDOM=$SEED
	traffic
	while ((SECONDS < end)); do
		draw deeds "${DEEDS[@]}"
		deed=$CARD
		COUNT[$deed]=$((${COUNT[$deed]:-0} + 1))
		n=$((n + 1))
		echo "$((SECONDS - start)) s: deed $n: $deed"
		"do_$deed"
		sleep "0.$((RANDOM % 10))"
		if (((SECONDS - start) / 60 > minute)); then
			minute=$(((SECONDS - start) / 60))
			echo "# minute $minute: $n deeds, $(stat_of rx_packets) packets in since the last removal" >&3
			fails grep -E -m 1 "$(<complaints)" <(dmesg)
		fi
	done
	do_release
	detach
	# Without traffic each page can be found.
	# shellcheck disable=SC2046 # several
	kill $(jobs -p) || true
	pkill 'hold|socat|ping' || true
	settle
	eventually 40 no_fragments
	pool_clean
	none_lost
	reconcile
	add_totals
	{
		echo "# $n deeds:$(for deed in "${!COUNT[@]}"; do echo -n " $deed ${COUNT[$deed]}"; done)"
		for name in in delivered xdp_{drop,tx,redirect,aborted} drop_{limit,no_page,no_skb} broken; do
			printf '# packets %-12s %9d\n' "$name" "${FATE[$name]}"
		done
		echo "# pages mapped and unmapped: ${FATE[mapped]}, ${FATE[unmapped]}; refused at the limit: ${FATE[at_limit]}; calls refused: ${FATE[refused]-0}"
	} >&3
	check "packets in" "${FATE[in]}" -gt 1000
	check "packets delivered" "${FATE[delivered]}" -gt 1000
	((MINUTES < 10)) || all_happened "$n"
}

# all_happened DEEDS: the deck was used up twice, so each XDP program had its turn.
all_happened() {
	local name
	check "deeds (if fewer, this machine was too busy: run it alone, or for longer)" \
		"$1" -ge $((2 * ${#DEEDS[@]}))
	for name in "${DEEDS[@]}"; do check "times: $name" "${COUNT[$name]-0}" -gt 0; done
	for name in xdp_{drop,tx,redirect,aborted} drop_no_skb refused at_limit; do
		check "$name" "${FATE[$name]-0}" -gt 0
	done
	check "packets in" "${FATE[in]}" -gt $((MINUTES * (RPP_SLOW == 1 ? 20000 : 300)))
}

prepare() {
	modprobe -a sch_ingress cls_matchall
	if can_fail; then quietly; fi
	far_up
	free_kb >/tmp/free
	load_driver
	setup
}

# Nothing is left in it that should not be.
works() {
	up
	ping_peer 20
	pool_clean
}

remove() {
	remove_modules
	lost "$(</tmp/free)" 16000
}

exec 3>&1
peer_up
try "interface" prepare
try "$MINUTES minutes, every packet accounted for" soak
try "the interface works, all pages are back" works
try "removal" remove
