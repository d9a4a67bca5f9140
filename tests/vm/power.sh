#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Sleep of the system and resets of the card, under traffic: nobody has to touch the interface afterwards, and what was in
# flight is home. The 82576, and the 82540EM.

cd "$(dirname "$0")/.." || exit
export DRIVER=${DRIVER:-igb_rust} CARD=${CARD:-0x10c9} PEER_DRIVER=e1000e
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh
# shellcheck source=inject.sh
. tests/inject.sh
PEER_MAC=52:54:00:00:00:03
if [[ $CARD == 0x100e ]]; then MAC=52:54:00:00:00:02; fi
# Its directory in sysfs.
DEV=/sys/bus/pci/devices/$DUT

# An error is reported by a card on PCI Express.
if [[ $CARD == 0x10c9 ]]; then ERRORS=1; else ERRORS=0; fi

plan $((11 + ERRORS))

prepare() {
	local dev
	load_driver
	dev=$(iface)
	ip link set "$dev" mtu 1400
	ethtool -G "$dev" rx 512 tx 128
	if [[ $DRIVER == igb_rust ]]; then
		ethtool -L "$dev" combined 2
		ethtool -N "$dev" flow-type ether dst 52:54:00:0a:00:01 action 1
	fi
	up
	ping_peer
}

# settings: what somebody has chosen, and what the card must know again.
settings() {
	local dev
	dev=$(iface)
	ip -d link show dev "$dev" | grep -oE 'mtu [0-9]+|xdp|prog/xdp id [0-9]+|link/ether [0-9a-f:]+|UP,LOWER_UP'
	ethtool -g "$dev"
	ethtool -k "$dev"
	[[ $DRIVER != igb_rust ]] || { ethtool -l "$dev"; ethtool -n "$dev"; ethtool -x "$dev"; }
}

# over COMMAND...: the interface is over it as it was before, and hears its peer though nobody here has sent anything.
over() {
	settings >/tmp/before
	"$@"
	eventually 60 in_peer ping -q -c 1 -W 1 "$ADDR"
	settings >/tmp/after
	diff /tmp/before /tmp/after
}

# asleep HOW: for so long that it is seen. asleep mem is S3.
asleep() {
	local before
	before=$(slept "$1")
	rtcwake -m "$1" -s 3
	check "times asleep" "$(slept "$1")" -gt "$before"
}
slept() { cat /sys/power/suspend_stats/success; }

# To disk, and back from there, with all but the power going.
hibernate() {
	echo test_resume >/sys/power/disk
	echo disk >/sys/power/state
	# What was logged after the image was made is forgotten, as all else is, when it is restored.
	dmesg | grep 'PM: hibernation: hibernation exit'
	fails grep 'PM: Image saving done' <(dmesg)
}

reset() {
	for _ in 1 2 3; do echo 1 >"$DEV/reset"; done
}

# play COMMAND...: while frames go round.
play() {
	go_round
	"$@"
	ip -n peer link set "$PEER" xdpgeneric off
	detach
	eventually 60 in_peer ping -q -c 1 -W 1 "$ADDR"
	settle
	# (With several pools there are as many limits.)
	[[ $DRIVER == igb_rust ]] || none_lost
	pool_clean
}

# broken: a fatal error on the bus, as the kernel's aer_inject plays it, after which the slot is reset.
broken() {
	local before bus=${DUT#*:}
	before=$(recovered)
	modprobe aer_inject
	# struct aer_error_inj: bus 1, say; device 0; function 0; bit 4, Data Link Protocol Error.
	printf %b "\\x${bus%%:*}\\0\\0\\0\\x10$(printf '\\0%.0s' {1..27})" >/dev/aer_inject
	eventually 20 recovered_since "$before"
}
recovered() { dmesg | grep -c 'AER: device recovery successful' || true; }
recovered_since() { (($(recovered) > $1)); }

# What an interface is that is down sleeps and wakes as well.
down() {
	ip link set "$(iface)" down
	"$@"
	up
	ping_peer
}

# without WHAT: woken while that cannot be had, the interface comes as soon as it can.
without() {
	refuse "$1" 1
	echo 1 >"$DEV/reset"
	check "calls that were refused" "$(refused)" -gt 0
	no_carrier
	rmmod refuse
}

# While somebody else changes whatever can be changed.
meanwhile() {
	local n dev
	dev=$(iface)
	for ((n = 0; n < 20; n++)); do echo 1 >"$DEV/reset"; done &
	# A device that is being reset is not there for others.
	for ((n = 0; n < 20; n++)); do
		ip link set "$dev" down || true
		ethtool -G "$dev" rx $((256 << (n & 1))) || true
		ip link set "$dev" mtu $((1400 + (n & 1) * 1600)) || true
		ip link set "$dev" up || true
		in_peer ping -q -c 2 -i 0.01 -W 0.1 "$ADDR" || true
	done
	wait
	ip link set "$dev" mtu 1400
	ethtool -G "$dev" rx 512
	up
	ping_peer 10
	pool_clean
}

removal() {
	remove_modules
	ip netns del peer
}

modprobe virtio_blk
if ! swapon /dev/vda; then
	mkswap /dev/vda
	swapon /dev/vda
fi >/dev/null 2>&1
cat /sys/block/vda/dev >/sys/power/resume
peer_up
try "interface" prepare
try "asleep to memory" over asleep mem
try "asleep to memory, while frames go round" play asleep mem
try "asleep to memory, the interface is down" down asleep mem
try "asleep to disk, while frames go round" play hibernate
try "reset" over reset
try "reset, while frames go round" play reset
try "reset, no memory for rings" over without rings
try "reset, no interrupts" over without interrupts
try "reset, while the interface changes" meanwhile
if ((ERRORS)); then try "an error on the bus, while frames go round" play broken; fi
try "removal" removal
if [[ $CARD != 0x100e ]]; then
	DRIVER=e1000_rust CARD=0x100e again power
fi
