#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A pool ends while others have its pages: four ways to end it under full traffic,
# times five holders. A pool has to end at once, and must not leave a mapping; what
# is held has to stay as it is, and is freed by the last who lets go. Then the same
# for the pool's module, a device that does not answer any more, and a race.

cd "$(dirname "$0")/.." || exit
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh
# shellcheck source=hold.sh
. tests/hold.sh

EVENTS=${EVENTS:-unbind rmmod pull down}
HOLDERS=${HOLDERS:-socket pipe mapping clone redirect}
# How long each of EVENTS may take, in ms. A slow kernel checks each page, and only has to end.
LIMIT=$((RPP_SLOW == 1 ? 1000 : 10000))
# Seconds of races, and microseconds between the pages that come back meanwhile: so many, then two, four,
# eight times as many, for what is too fast on one machine is too slow on another.
RACE=$((${RACE:-30} * RPP_SLOW))
PAUSE=$((RPP_SLOW == 1 ? 50 : 500))
TIMES=/tmp/times RACES=/tmp/races
# What QEMU calls the card.
if [[ $CARD == 0x10c9 ]]; then NIC=igb; else NIC=e1000; fi
BUS=/sys/bus/pci MAPPINGS=/sys/kernel/debug/dma-api/dump

holders=$(wc -w <<<"$HOLDERS")
plan $((11 + (1 + $(wc -w <<<"$EVENTS")) * holders))

prepare() {
	# No packets but ours.
	sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 || true
	stty -F /dev/ttyS3 raw -echo
	modprobe tun
	[[ -d /sys/module/mapper ]] || insmod mapper.ko
	head -c 4M /dev/urandom >/tmp/content
	load_driver
	up
	ping_peer
}

#
# The events. Each is over when it returns, and may say by "begins" that it did not begin before.
#

begins() { START=${EPOCHREALTIME/./}; }
# since: so many ms ago.
since() { echo $(((${EPOCHREALTIME/./} - START) / 1000)); }

by_unbind() { echo "$DUT" >"$BUS/drivers/$DRIVER/unbind"; }
by_rmmod() { rmmod "$DRIVER"; }
by_down() { ip link set "$DEV" down; }

# QEMU's device_del, from the interrupt on by which the guest hears of it.
by_pull() {
	local heard i
	heard=$(</sys/firmware/acpi/interrupts/sci)
	for ((i = 0; i < 3000; i++)); do
		((i % 1000)) || monitor "device_del nic0"
		begins
		[[ $(</sys/firmware/acpi/interrupts/sci) == "$heard" ]] || break
	done
	while [[ -e $BUS/devices/$DUT ]]; do :; done
}

# monitor COMMAND: of QEMU. The serial line to it may lose one, so ask again.
monitor() { printf '\n%s\n' "$1" >/dev/ttyS3; }

plug_in() {
	[[ ! -e $BUS/devices/$DUT ]] || return 0
	monitor "device_add $NIC,id=nic0,bus=slot0,netdev=n0,mac=$MAC,romfile="
	eventually 2 test -e "$BUS/devices/$DUT"
}

# restore: all that an event, or a test that failed, took away.
restore() {
	ip -n peer link set "$PEER" up
	eventually 30 plug_in
	[[ -d /sys/module/$DRIVER ]] || load_driver
	# What was found anew binds by itself, perhaps just now.
	has_iface || echo "$DUT" >"$BUS/drivers/$DRIVER/bind" || true
	eventually 10 has_iface
	detach
	up
}
recover() {
	pkill -KILL 'hold|socat|ping'
	restore
}

#
# The holders. Each has pages of the pool when it returns.
#

hold_socket() {
	start_hold socket 7000 "$DUMP"
	held bound 1
	send_udp 1000
}

hold_pipe() {
	start_hold splice 5003 "$DUMP"
	send_tcp 5003
	held bytes 300000
}

# Of this driver's pages none can be mapped by TCP_ZEROCOPY_RECEIVE: a page has the headers of its
# packet in front, and less than a page of data. A module does the same without asking for that.
hold_mapping() {
	start_hold mapping 7000 "$DUMP"
	held bound 1
	send_udp 1000
	held mapped 300
	check "pages that are reported as mapped" "$(reported 'mapped by user space')" -ge 300
}

hold_clone() {
	start_hold packet "$(iface)" "$DUMP"
	held bound 1
	send_udp 1000
}

# In the ring of a tap device, as they came from the driver: not as packets of the stack.
hold_redirect() {
	start_hold tap tap0 "$DUMP"
	held bound 1
	ip link set tap0 up
	attach redirect
	to_port tap0
	send_udp 1000
}

# hold_pages HOLDER: HELD_PAGES is how many go by the hook in the end. Of which the pool has a half, those may not:
# they lose their tag when it ends.
hold_pages() {
	settle
	"hold_$1"
	eventually 30 quiet
	HELD_PAGES=$(($(outstanding) - $(reported "half of it in use")))
	misses $((200 / $(per_page)))
}

# hits: how many pages with a tag were freed. (The last site is a way to another one.)
hits() { awk '$1 == "site" && $2 != "free_pages" { n += $4 } END { print n }' "$DEBUGFS/selftest"; }

# let_go_of_pages: they have in them what was sent, and go to the page allocator.
let_go_of_pages() {
	local kb hits size
	[[ ! $SENDER ]] || kill -KILL "$SENDER" || true
	rm -f "$DUMP"
	sleep 0.2
	kb=$(memory) hits=$(hits)
	let_go
	size=$(stat -c %s "$DUMP")
	echo "$size bytes read"
	check "bytes read" "$size" -ge 300000
	cmp -n "$size" "$DUMP" /tmp/content
	rm "$DUMP"
	eventually 10 let_go_of $((hits + HELD_PAGES)) || { echo "$(hits), not $((hits + HELD_PAGES))"; return 1; }
	kb=$(($(memory) - kb))
	echo "$HELD_PAGES pages, $kb kB freed"
	check "kB freed" "$kb" -ge $((HELD_PAGES * 4 * 9 / 10))
}
# memory: kB that are free; or, where who has each page is known, that the pool's pages leave free.
memory() { if [[ $CHECKERS ]]; then echo $((-4 * $(pages_of_pools))); else free_kb; fi; }
let_go_of() {
	(($(hits) >= $1)) && return
	receive_on_each_cpu
	return 1
}

# no_mapping: right now, by our count and by the checker's. (The IOMMU is the third that would tell.)
no_mapping() {
	all_unmapped
	[[ ! -e $MAPPINGS ]] || fails grep " $DUT " $MAPPINGS
}

# take BY...: an event under traffic. MS is how long it took.
take() {
	local before
	DEV=$(iface)
	flood_start 7
	before=$(stat_of rx_packets)
	eventually 10 packets_came $((before + 100))
	[[ ! -e $MAPPINGS ]] || check "mappings before" "$(grep -c " $DUT " $MAPPINGS)" -gt $((256 / $(per_page)))
	begins
	"$@"
	MS=$(since)
	no_mapping
	traffic_stop
}

# in_time COMMAND...: what takes MS has to be over in LIMIT. A busy host holds up the VM now and then, but
# not twice in a row.
in_time() {
	"$@"
	((MS > LIMIT)) || return 0
	echo "$MS ms, and again:"
	"$@"
	check "ms that it took" "$MS" -le "$LIMIT"
}

packets_came() { (($(stat_of rx_packets) > $1)); }

# ends EVENT HOLDER
ends() {
	hold_pages "$2"
	take "by_$1"
	note "$1" "$2" "$MS"
	let_go_of_pages
	no_mapping
	restore
}

# ends_module HOLDER: the modules go while others have the pool's pages, and come back. The pool's own waits
# for RCU tasks, so there is no limit. Old pages are nothing to the new pool, although it has the
# id that they are tagged with.
ends_module() {
	hold_pages "$1"
	# Or what is left to be sent comes when the driver is back, and the new pool has pages in that socket as well.
	if [[ $SENDER ]]; then
		ip -n peer link set "$PEER" down
		kill -KILL "$SENDER"
		in_peer ss -K dst "$ADDR" || true
		ip -n peer link set "$PEER" up
	fi
	rmmod "$DRIVER"
	no_mapping
	begins
	rmmod rust_net
	MS=$(since)
	note rust_net "$1" "$MS"
	begins
	rmmod rust_page_pool
	note rust_page_pool "$1" "$(since)"
	load_driver
	up
	settle
	# A sender that was killed left a connection that sends again now and then.
	ip -n peer link set "$PEER" down
	eventually 10 quiet
	pool_state >/tmp/state
	let_go_of_pages
	pool_state | diff /tmp/state -
	ip -n peer link set "$PEER" up
	pool_clean
}
pool_state() { cat "$DEBUGFS"/{pools,totals}; }

# deaf EVENT: under traffic the device is as if it were gone: no register answers, and there is no
# DMA and no interrupt. Then it goes indeed, and is found anew. (In QEMU registers that are not there
# read as zeros.)
deaf() {
	settle
	take deaf_and "$1"
	note "$1" deaf "$MS"
	[[ $1 != down ]] || fails ip link set "$DEV" up
	echo 1 >"$BUS/devices/$DUT/remove"
	echo 1 >"$BUS/rescan"
	restore
	ping_peer
}
# The command register: all off, and bit 10, INTx disable. With 0 the line may stay raised, for good.
deaf_and() {
	config "$DUT" 4 0x400 2
	sleep 0.2
	begins
	"by_$1"
}

# Deaf, and bound again as it is: it still has the rings of its former life, and packets for them.
deaf_rebound() {
	settle
	take deaf_and unbind
	flood_start 7
	begins
	echo "$DUT" >"$BUS/drivers/$DRIVER/bind"
	note bind deaf "$(since)"
	traffic_stop
	restore
	ping_peer
}

# gone EVENT: as after a surprise removal every register reads as ones, and takes no write. A ROM of
# another device is there, and the device's own registers are nowhere.
gone() {
	settle
	take gone_and "$1"
	note "$1" gone "$MS"
	if [[ $1 == down ]]; then
		# What the PHY says of itself. From a device that is silent it is ETIMEDOUT.
		fails ip link set "$DEV" up 2>&1 | grep "Input/output error"
	fi
	registers_back
	echo 1 >"$BUS/devices/$DUT/remove"
	echo 1 >"$BUS/rescan"
	restore
	ping_peer
}
registers_back() {
	config "$ROM" 0x30 0 4
	config "$DUT" 0x10 "$REGISTERS" 4
}
gone_and() {
	ROM=$(of_device 0x0005)
	read -r REGISTERS _ <"$BUS/devices/$DUT/resource"
	# As in deaf_and.
	config "$DUT" 4 0x400 2
	config "$DUT" 0x10 0 4
	config "$ROM" 0x30 $((REGISTERS | 1)) 4
	config "$ROM" 4 2 2
	sleep 0.2
	begins
	"by_$1"
}

# Of a device that is gone the rings cannot be changed, and when it answers again, they can: the
# interface was not given up meanwhile.
gone_for_a_while() {
	settle
	DEV=$(iface)
	gone_and rings_fail
	registers_back
	# Registers, then rings, and DMA only then.
	config "$DUT" 4 0x402 2
	ethtool -G "$DEV" rx 512
	config "$DUT" 4 6 2
	eventually 10 carrier
	ping_peer
	ethtool -G "$DEV" rx 256
}
by_rings_fail() { fails ethtool -G "$DEV" rx 512; }

# race: one CPU frees pages in bursts while the other one ends their pool. (It would leave skbs to the
# CPU that made them, which is the other one.)
race() {
	local end=$((SECONDS + RACE)) last=$((SECONDS + 10 * RACE)) before out deferred=/proc/sys/net/core/skb_defer_max usual
	local -i rounds=0 back during after all_back=0 all_during=0 all_after=0
	DEV=$(iface) usual=$(<$deferred)
	echo 0 >$deferred
	# A busy machine may manage one race in that time, in which nothing came just then.
	while ((SECONDS < end || SECONDS < last && !(all_during && all_after))); do
		ip link set "$DEV" up
		start_hold bursts 7000 $((PAUSE << rounds % 4))
		taskset -p -c 1 "$HOLD"
		held bound 1
		eventually 10 carrier
		eventually 20 fill 900
		out=$(outstanding) before=$(returned)
		kill "$HOLD_IN"
		taskset -c 0 ip link set "$DEV" down
		no_mapping
		let_go
		back=$(returned)-before during=$(count rx_pp_released) after=out-back-during
		check escaped "$(count rx_pp_escaped)" -eq 0
		check unbalanced "$(count rx_pp_unbalanced)" -eq 0
		echo "of $out pages $back came before the pool's end, $during during it, $after after it"
		all_back+=back all_during+=during all_after+=after rounds+=1
	done
	echo "$usual" >$deferred
	echo "# $rounds races: $all_back pages came before the pool's end, $all_during during it, $all_after after it" >"$RACES"
	check "pages that came during it" "$all_during" -gt 0
	check "pages that came after it" "$all_after" -gt 0
}
# Again and again, since QEMU's device is deaf for a second, and what comes then is lost.
fill() {
	(($(outstanding) >= $1)) && return
	send_udp 400
	return 1
}
returned() { echo $(($(count rx_pp_recycle_ring) + $(count rx_pp_recycle_ring_full))); }

remove() {
	unload_driver
	no_mapping
	rmmod rust_net
	rmmod rust_page_pool
}

# note EVENT HOLDER MS
note() { echo "$*" >>"$TIMES"; }

# table: what was noted, for who reads the log.
table() {
	awk '
		{ ms[$1, $2] = $3 }
		!known[$1]++ { events[++n] = $1 }
		!known[$2]++ { holders[++m] = $2 }
		END {
			printf "# %-16s", "ms"
			for (j = 1; j <= m; j++) printf "%10s", holders[j]
			for (i = 1; i <= n; i++) {
				printf "\n# %-16s", events[i]
				for (j = 1; j <= m; j++) printf "%10s", ms[events[i], holders[j]]
			}
			print ""
		}' "$TIMES"
}

peer_up
touch "$TIMES" "$RACES"
sink
try "interface" prepare
for event in $EVENTS; do
	for holder in $HOLDERS; do
		try "$event, pages held by: $holder" in_time ends "$event" "$holder"
	done
done
for holder in $HOLDERS; do
	try "pool's module, pages held by: $holder" in_time ends_module "$holder"
done
for event in unbind rmmod down; do
	try "deaf device: $event" in_time deaf "$event"
done
for event in unbind rmmod down; do
	try "device that reads as ones: $event" in_time gone "$event"
done
try "device that reads as ones for a while: rings" gone_for_a_while
try "deaf device: bound again as it is" deaf_rebound
try "pages that come back while their pool ends, for $RACE s" race
try "removal" remove
cat "$RACES"
table
