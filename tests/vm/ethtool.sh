#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What people type: link settings, pauses, registers, EEPROM, LEDs, self-test, counters, and what the kernel's log says of
# the link. The C driver of the same card does it first, and what it shows has to be the same. The 82576, and then the
# 82540EM. (Of a PHY's speed QEMU knows nothing: it is 1 Gbit/s whatever the two ends agree upon.)

cd "$(dirname "$0")/.." || exit
export DRIVER=${DRIVER:-igb_rust} CARD=${CARD:-0x10c9} PEER_DRIVER=${PEER_DRIVER:-e1000} CABLE=${CABLE:-n0}
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh
# The first NIC is the 82576, and the last one has a peer of its own.
if [[ $CARD == 0x100e ]]; then MAC=52:54:00:00:00:02 PEER_MAC=52:54:00:00:00:03; fi
C_DRIVER=${DRIVER%_rust}

plan 15

# show: what is advertised, and what the link is.
show() {
	ethtool "$(iface)" | sed -n '/Advertised link modes/,/Advertised pause/{/pause/!p}; /Advertised auto/p; /Auto-neg/p'
	ethtool "$(iface)" | grep -E "Speed|Duplex"
}
# has_link: it is there, and no more to come. (The C drivers look at it every two seconds.)
has_link() { carrier && sleep 1 && carrier; }

# type_it: as people do it; what comes of it, for a comparison.
type_it() {
	local dev
	dev=$(iface)
	ethtool -i "$dev" | grep -E '^(firmware|expansion|bus|supports-(stat|test|eeprom|register))'
	ethtool -e "$dev"
	ethtool -e "$dev" offset 3 length 5
	ethtool "$dev" | sed -n '/Supported ports/,/Supported pause/{/pause/!p}; /Supports auto/p; /Port:/p; /message level/,/drv/p'
	ip link set "$dev" up
	eventually 20 has_link
	show
	ethtool -t "$dev" online | head -n 1
	ethtool -s "$dev" advertise 0x8
	eventually 20 has_link
	show
	# Nobody can have that.
	ethtool -s "$dev" speed 1000 duplex half autoneg off 2>/dev/null || echo "refused"
	ethtool -s "$dev" speed 100 duplex full autoneg off
	sleep 3
	show | grep -Ev 'Speed|Duplex'
	ethtool -s "$dev" autoneg on
	eventually 20 has_link
	show
	ethtool -s "$dev" speed 100 duplex half
	eventually 20 has_link
	show
	ethtool -r "$dev"
	eventually 20 has_link
	ethtool -s "$dev" autoneg on advertise 0x2f
	eventually 20 has_link
	show
	ethtool -A "$dev" autoneg off rx on tx off
	ethtool -a "$dev" | grep -E '^(Auto|RX:|TX:)'
	eventually 20 has_link
	ethtool -s "$dev" msglvl link on drv off
	ethtool "$dev" | sed -n '/message level/,/drv/p'
	ethtool -p "$dev" 1
	ethtool -C "$dev" rx-usecs 20000 2>/dev/null || echo "refused"
	ip link set "$dev" down
}

as_c() {
	modprobe "$C_DRIVER"
	eventually 10 has_iface
	type_it >/tmp/as.c
	modprobe -r "$C_DRIVER"
	eventually 10 no_iface
	load_driver
	type_it >/tmp/as.rust
	cat /tmp/as.rust
	diff /tmp/as.c /tmp/as.rust
	check "lines" "$(wc -l </tmp/as.rust)" -gt 40
	remove_driver
	load_driver
	up
}

# said WHAT: how often the log has said that the link is so.
said() { dmesg | grep -c -E "$DRIVER $DUT $(iface): NIC Link is $1" || true; }
# says TIMES WHAT COMMAND...: so often it does, by that.
says() {
	local times=$1 what=$2 before
	before=$(said "$what")
	shift 2
	"$@"
	sleep 1
	check "times that the link was said to be '$what'" $(($(said "$what") - before)) "${times% *}" "${times#* }"
}
# cable STATE CONDITION: QEMU's monitor pulls or plugs it; waits until the driver has noticed. The serial line to the
# monitor may lose a command.
cable() {
	printf '\nset_link %s %s\n' "$CABLE" "$1" >/dev/ttyS3
	eventually 10 "$2" && return
	printf '\nset_link %s %s\n' "$CABLE" "$1" >/dev/ttyS3
	eventually 20 "$2"
}
down_and_up() {
	ip link set "$(iface)" down
	up
}
rings() {
	ethtool -G "$(iface)" rx "$1"
	eventually 20 carrier
}

# Once for each change.
log() {
	local dev
	[[ -c /dev/ttyS3 ]] || skip "no monitor"
	# What the monitor answers must not be echoed to it as commands.
	stty -F /dev/ttyS3 raw -echo
	dev=$(iface)
	for _ in 1 2; do
		says "-eq 1" Down cable off no_carrier
		ethtool "$dev" | grep 'Speed: Unknown'
		fails ethtool -t "$dev" online
		fails pings
		says "-eq 1" "Up 1000 Mbps Full Duplex, Flow Control: (None|RX/TX)" cable on carrier
		ping_peer
	done
	# What is asked for is no loss.
	says "-eq 0" Down down_and_up
	says "-eq 1" Up down_and_up
	says "-eq 0" Down rings 512
	says "-le 1" Up rings 256
	ethtool -s "$dev" msglvl link off
	says "-eq 0" "" down_and_up
	says "-eq 0" "" cable off no_carrier
	says "-eq 0" "" cable on carrier
	ethtool -s "$dev" msglvl link on
	ping_peer
}

# register OFFSET: what it holds, by "ethtool -d".
register() {
	ethtool -d "$(iface)" raw on | hexdump -v -e '2/4 "%08x " "\n"' | awk -v at="x$(printf %08x "$1")" \
		'"x" $1 == at { print "0x" $2; n++ } END { exit n != 1 }'
}
# bits OFFSET MASK: those of a register.
bits() { echo $(($(register "$1") & $2)); }
CTRL=0 LEDCTL=0xe00 RAL=0x5400
FORCED=$((3 << 11)) RX_PAUSE=$((1 << 27)) TX_PAUSE=$((1 << 28))

registers() {
	local dev mac
	dev=$(iface)
	mac=$(tr -d : <"/sys/class/net/$dev/address")
	for _ in 1 2; do
		ethtool -d "$dev" | head -n 1 | grep -x 'Offset.*Values'
		check "link, as set" "$(bits $CTRL $((1 << 6)))" -ne 0
		check "the MAC address" "$(printf %08x "$(register $RAL)")" == "${mac:6:2}${mac:4:2}${mac:2:2}${mac:0:2}"
		# Another driver's name does not decode it, and neither does a part harm.
		ip link set "$dev" down
		check "registers while it is down" "$(ethtool -d "$dev" raw on | wc -c)" -gt 300
		up
	done
}

# Speed and duplex without negotiation: the card is told. And pauses, both ways, by each way.
link_is_told() {
	local dev way speed duplex
	dev=$(iface)
	for speed in 10 100; do
		for duplex in half full; do
			ethtool -s "$dev" speed $speed duplex $duplex autoneg off
			check "forced" "$(bits $CTRL $FORCED)" -eq $FORCED
			check "speed" "$(bits $CTRL $((3 << 8)))" -eq $((speed == 100 ? 1 << 8 : 0))
			check "full duplex" "$(bits $CTRL 1)" -eq "$([[ $duplex == full ]] && echo 1 || echo 0)"
			fails ethtool -r "$dev"
			fails ethtool -A "$dev" autoneg on rx off
		done
	done
	# It stays over a restart.
	ethtool -G "$dev" rx 512
	check "forced" "$(bits $CTRL $FORCED)" -eq $FORCED
	ethtool -G "$dev" rx 256
	fails ethtool -s "$dev" autoneg on advertise 0
	ethtool -s "$dev" autoneg on
	eventually 20 carrier
	check "forced" "$(bits $CTRL $FORCED)" -eq 0
	for way in "on on" "on off" "off on" "off off"; do
		ethtool -A "$dev" autoneg off rx "${way% *}" tx "${way#* }"
		eventually 20 carrier
		check "RX pauses" $(($(bits $CTRL $RX_PAUSE) != 0)) -eq "$([[ ${way% *} == on ]] && echo 1 || echo 0)"
		check "TX pauses" $(($(bits $CTRL $TX_PAUSE) != 0)) -eq "$([[ ${way#* } == on ]] && echo 1 || echo 0)"
	done
	dmesg | tail -n 8 | grep "Flow Control: TX$"
	# What they agree upon. QEMU's partner of an 82576 has pauses, that of an 82540EM has none.
	for way in "on on" "off off"; do
		ethtool -A "$dev" autoneg on rx "${way% *}" tx "${way#* }"
		eventually 20 carrier
		if [[ $way == "on on" && $CARD == 0x10c9 ]]; then
			check "pauses" "$(bits $CTRL $((RX_PAUSE | TX_PAUSE)))" -eq $((RX_PAUSE | TX_PAUSE))
			ethtool -a "$dev" | grep 'TX negotiated: on'
		else
			check "pauses" "$(bits $CTRL $((RX_PAUSE | TX_PAUSE)))" -eq 0
			ethtool -a "$dev" | grep 'TX negotiated: off'
		fi
	done
	ethtool -A "$dev" rx on tx on
	eventually 20 carrier
	ping_peer
}

eeprom() {
	local dev
	dev=$(iface)
	# (The whole of it is compared with what the C driver shows.)
	ethtool -e "$dev" raw on | head -c 6 | cmp - <(printf %b "\\x${MAC//:/\\x}")
	ethtool -e "$dev" offset 1 length 1 raw on | cmp - <(printf '\x54')
	fails ethtool -e "$dev" offset 60000 length 2
	fails ethtool -E "$dev" magic 0x100e8086 offset 0 value 1
}

leds() {
	local dev before
	dev=$(iface)
	before=$(register $LEDCTL)
	for _ in 1 2; do
		# A busy machine looks seldom.
		ethtool -p "$dev" 60 &
		eventually 20 leds_are 0x0e0e0e0e
		eventually 20 leds_are 0x0f0f0f0f
		eventually 20 leds_are 0x0e0e0e0e
		kill $!
		wait $! || true
		check "LEDs" "$(register $LEDCTL)" == "$before"
		# Also while it is down.
		ip link set "$dev" down
		eventually 3 leds_are "$before"
	done
	up
}
leds_are() { [[ $(bits $LEDCTL $((${1} | 0x0f0f0f0f))) == $(($1)) ]]; }

# passes ON|OFFLINE: all tests of that, and the interface is as it was, with its rings, settings, and link.
passes() {
	ethtool -t "$(iface)" "$1" | tee /tmp/passes
	grep 'The test result is PASS' /tmp/passes
	check "tests that failed" "$(awk -F '\t ' '$2 > 0' /tmp/passes | wc -l)" -eq 0
	check "tests" "$(grep -c 'line)' /tmp/passes)" -eq 4
}
self_test() {
	local dev
	dev=$(iface)
	passes online
	ethtool -G "$dev" rx 512
	eventually 20 carrier
	all_counters >/tmp/before
	traffic_start
	for _ in 1 2 3; do
		passes offline
		eventually 20 carrier
		sleep 1
	done
	traffic_stop
	check "RX ring" "$(ring RX)" -eq 512
	check "frames" "$(stat_of rx_packets)" -gt 100
	all_counters >/tmp/after
	no_less
	ping_peer
	# One that is down, and stays so.
	ip link set "$dev" down
	passes offline
	no_carrier
	[[ $(ethtool "$dev" | grep 'Link detected') == *no ]]
	ethtool -G "$dev" rx 256
	up
	ping_peer
	pool_clean
}

# Without a cable that is what fails.
no_cable() {
	local dev
	dev=$(iface)
	cable off no_carrier
	fails ethtool -t "$dev" offline >/tmp/tests
	cat /tmp/tests
	grep 'The test result is FAIL' /tmp/tests
	check "tests that failed" "$(awk -F '\t ' '$2 > 0' /tmp/tests | wc -l)" -eq 1
	grep "Link test .*1" /tmp/tests
	cable on carrier
	ping_peer
}

# No register answers: each of them ends soon, none harms, and all tests fail. When it answers again, so do they.
gone() {
	local dev
	dev=$(iface)
	# The command register: all off, and bit 10, INTx disable. With 0 the line may stay raised, for good.
	config "$DUT" 4 0x400 2
	SECONDS=0
	fails ethtool -t "$dev" offline >/tmp/tests
	cat /tmp/tests
	check "tests that failed" "$(awk -F '\t ' '$2 > 0' /tmp/tests | wc -l)" -eq 4
	ethtool "$dev"
	ethtool -d "$dev" | tail -n 1
	fails ethtool -e "$dev"
	ethtool -i "$dev"
	ethtool -p "$dev" 1
	ethtool -S "$dev" --all-groups
	ethtool -a "$dev"
	ethtool -r "$dev" || true
	ethtool -s "$dev" autoneg on advertise 0x8 || true
	ethtool -A "$dev" rx off || true
	check "seconds that it took" $SECONDS -le $((20 * RPP_SLOW))
	# Registers, and DMA.
	config "$DUT" 4 6 2
	ip link set "$dev" down
	up
	ethtool -s "$dev" autoneg on advertise 0x202f
	ethtool -A "$dev" autoneg on rx on tx on || true
	eventually 20 carrier
	ping_peer
	passes offline
	eventually 30 pings
	pool_clean
}

# interrupts: how many the queues have had. (One flow comes by one of them.)
interrupts() {
	awk -v name="$(iface)(-TxRx-[0-9]+)?\$" '$NF ~ name { for (i = 2; $i ~ /^[0-9]+$/; i++) n += $i } END { print n + 0 }' /proc/interrupts
}
rate() {
	local before
	before=$(interrupts)
	sleep 4
	echo $(($(interrupts) - before))
}

# Less than so many microseconds do not pass between two interrupts, also after down and up.
coalescing() {
	local dev
	((RPP_SLOW == 1)) || skip "too slow to tell"
	dev=$(iface)
	ethtool -c "$dev" | grep -x 'rx-usecs:[[:space:]]*50'
	ethtool -c "$dev" | grep -i 'adaptive rx: on'
	fails ethtool -C "$dev" rx-usecs 8000
	ethtool -C "$dev" adaptive-rx off
	# (QEMU's 82540EM does not wait as long after it has sent.)
	attach drop
	flood_start 7
	check "interrupts in 4 seconds" "$(rate)" -gt 1200
	ethtool -C "$dev" rx-usecs 8000
	check "interrupts in 4 seconds" "$(rate)" -le 600
	down_and_up
	check "interrupts in 4 seconds" "$(rate)" -le 600
	fails ethtool -C "$dev" rx-usecs 10001
	fails ethtool -C "$dev" tx-usecs 10
	ethtool -C "$dev" rx-usecs 50
	check "interrupts in 4 seconds" "$(rate)" -gt 1200
	ethtool -C "$dev" rx-usecs 8000
	ethtool -C "$dev" adaptive-rx on
	check "interrupts in 4 seconds" "$(rate)" -gt 1200
	fails ethtool -C "$dev" rx-usecs 50
	ethtool -C "$dev" adaptive-rx off rx-usecs 50
	ethtool -C "$dev" adaptive-rx on
	traffic_stop
	detach
	ping_peer
}

# counted NAME: one of the groups that all drivers have.
counted() { ethtool -S "$(iface)" --all-groups | awk -v n="$1:" '$1 == n { print $2 }'; }

# What the card has counted: of frames, by their length; also of before a reset; and of those that it refused.
counters() {
	local dev name before
	dev=$(iface)
	settle
	for name in rx tx; do
		before=$(counted $name-rmon-etherStatsPkts256to511Octets)
		ping_peer
		ping -q -c 20 -i 0.02 -s 400 "$PEER_ADDR"
		rings 512
		rings 256
		check "$name frames of 256 to 511 bytes" $(($(counted $name-rmon-etherStatsPkts256to511Octets) - before)) -ge 20
	done
	eventually 30 pings
	check "frames sent" "$(counted eth-mac-FramesTransmittedOK)" -ge "$(stat_of tx_packets)"
	check "frames received" "$(counted eth-mac-FramesReceivedOK)" -ge $(($(stat_of rx_packets) - 5))
	ethtool -I -a "$dev" | grep rx_pause_frames
	# Frames that are longer than may be received. (QEMU's 82576 does not count them.)
	[[ $CARD == 0x100e ]] || return 0
	before=$(stat_of rx_length_errors)
	in_peer ip link set "$PEER" mtu 2100
	eventually 30 pings
	in_peer ping -q -c 10 -i 0.05 -W 1 -M "do" -s 2000 "$ADDR" || true
	in_peer ip link set "$PEER" mtu 1500
	eventually 30 pings
	ip -s -s link show dev "$dev"
	check "frames that are too long" $(($(stat_of rx_length_errors) - before)) -ge 10
	check "of these, with a right CRC" "$(counted rmon-etherStatsOversizePkts)" -ge 10
	check "errors" "$(stat_of rx_errors)" -ge 10
}

# The settings stay while it is down, and over what restarts it.
settings_stay() {
	local dev
	dev=$(iface)
	ip link set "$dev" down
	ethtool -s "$dev" autoneg on advertise 0x2020
	ethtool -A "$dev" rx on tx off
	up
	ethtool -G "$dev" rx 512 tx 512
	ip link set "$dev" mtu 1400
	eventually 20 carrier
	ethtool "$dev" | grep 'Advertised link modes:  1000baseT/Full'
	ethtool "$dev" | grep 'Advertised pause frame use: Symmetric Receive-only'
	ip link set "$dev" mtu 1500
	ethtool -G "$dev" rx 256 tx 256
	ethtool -s "$dev" autoneg on
	ethtool -A "$dev" rx on tx on
	eventually 20 carrier
	ping_peer
}

remove() {
	pool_clean
	remove_modules
}

try "as C $C_DRIVER: what is typed, and what is shown" as_c
peer_up
try "traffic" ping_peer
try "the kernel's log says each change of the link, once" log
try "ethtool -d: registers" registers
try "ethtool -s, -A: the card is told" link_is_told
try "settings stay" settings_stay
try "ethtool -e: EEPROM" eeprom
try "ethtool -p: LEDs" leds
try "ethtool -t: on-line and off-line, under traffic" self_test
try "ethtool -t: without a cable" no_cable
try "ethtool -C: the least time between interrupts" coalescing
try "counters: ip -s -s link, ethtool -S --all-groups" counters
try "a device that is gone" gone
try "traffic, after all that" ping_peer
try "removal" remove
if [[ $CARD != 0x100e ]]; then
	DRIVER=e1000_rust CARD=0x100e PEER_DRIVER=e1000e CABLE=n1 again ethtool
fi
