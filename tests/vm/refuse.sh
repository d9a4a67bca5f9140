#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What the modules ask the kernel for is refused: one kind of it at a time, each call or one
# in so many, while packets arrive, rings are resized, a queue is restarted, and the interface goes down
# and up and is unbound and bound. Packets may be lost, nothing else. RECEIVED is how many arrive meanwhile, for
# each kind and rate that lets an interface come up; a quarter of a million in all.

cd "$(dirname "$0")/.." || exit
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh
# shellcheck source=inject.sh
. tests/inject.sh
RECEIVED=${RECEIVED:-12000}
PCI=/sys/bus/pci/drivers/$DRIVER
# How many deeds for each kind and rate, at least.
DEEDS=${DEEDS:-4}

# One call in so many is refused, of those that a packet or a descriptor costs; and of those that a deed does.
read -r -a PER_PACKET <<<"${PER_PACKET:-2 10 511}"
read -r -a PER_DEED <<<"${PER_DEED:-1 2 10 50}"

plan $((5 + 5 * ${#PER_PACKET[@]} + 3 * ${#PER_DEED[@]}))

recover() {
	rm -f /tmp/sending
	rmmod refuse
	has_iface || echo "$DUT" >"$PCI/bind"
	up
}

# How much memory is free is asked without a driver, but when there was one: some of what it makes the
# kernel allocate stays.
prepare() {
	load_driver
	up
	settle
	remove_driver
	insmod restart.ko
	free_kb >/tmp/free
	load_driver
	up
	settle
}

# reload: the driver, with buffers from BUFFERS.
reload() {
	remove_driver
	load_driver
	up
	settle
}

# deed NAME: may fail, and leaves an interface that is up if there can be one. What is refused one
# time in two takes a while to come up.
deed() {
	local i
	if has_iface; then "do_$1" "$(iface)"; fi
	for ((i = 0; i < 12; i++)); do
		if no_iface; then echo "$DUT" >"$PCI/bind" || continue; fi
		if ip link set "$(iface)" up; then break; fi
	done
}

do_unbind() {
	gone=$((gone + $(stat_of rx_packets)))
	echo "$DUT" >"$PCI/unbind"
	no_iface
	all_unmapped
}
do_down() { ip link set "$1" down; }
do_restart() { echo "$1 0" >/sys/module/restart/parameters/queue || true; }
do_rings() { ethtool -G "$1" rx $((80 + RANDOM % 50 * 8)) tx $((80 + RANDOM % 50 * 8)) || true; }

# in_haste KIND INTERFACE: only what asks for it, with as few programs as possible.
in_haste() {
	case $1 in
	netdevs)
		echo "$DUT" >"$PCI/unbind"
		echo "$DUT" >"$PCI/bind" || true
		;;
	interrupts)
		ip link set "$2" down
		ip link set "$2" up || true
		;;
	*) do_rings "$2" ;;
	esac
}

# can_come_up KIND RATE: an interface of which one call in so many is refused. Each queue of the 82576 asks for three
# rings, and there are three vectors.
can_come_up() { (($2 > 1)) && [[ $DRIVER/$1/$2 != igb_rust/@(rings|interrupts)/2 ]]; }

# received: since without() began.
received() {
	if has_iface; then echo $((gone + $(stat_of rx_packets))); else echo "$gone"; fi
}

# without KIND RATE DEED...: at least once.
without() {
	local kind=$1 of=$2 deeds=("${@:3}") want=$RECEIVED end=$((SECONDS + 600 * RPP_SLOW))
	local dev gone i packets sender
	# Then it never comes up.
	can_come_up "$kind" "$of" || want=0
	echo $(($(</tmp/wanted) + want)) >/tmp/wanted
	gone=-$(stat_of rx_packets)
	refuse "$kind" "$of"
	: >/tmp/sending
	while [[ -e /tmp/sending ]]; do
		pktgen $((RECEIVED / 3)) 300 1 || true
	done >/dev/null 2>&1 &
	sender=$!
	for ((i = 0; i < DEEDS || $(received) < want; i++)); do
		((SECONDS < end))
		deed "${deeds[i % ${#deeds[@]}]}"
		# QEMU's device is deaf for a second.
		sleep $((2 * RPP_SLOW))
	done
	rm /tmp/sending
	wait $sender
	packets=$(received)
	# What is asked for once in a deed, or less.
	if (($(refused) == 0)); then
		dev=$(iface)
		traffic_start
		for (( ; $(refused) == 0; i++)); do
			((SECONDS < end))
			in_haste "$kind" "$dev"
		done
		traffic_stop
	fi
	echo "# $kind, one in $of: $(refused) refused, $i deeds, $packets packets" | tee -a /tmp/rates >&3
	rmmod refuse
	if no_iface; then echo "$DUT" >"$PCI/bind"; fi
	eventually 10 has_iface
	up
	ping_peer
	pool_clean
}

remove() {
	remove_driver
	lost "$(</tmp/free)" 16000
}

# enough: packets have arrived while something was refused.
enough() {
	check "packets" "$(awk '{ n += $(NF - 1) } END { print n + 0 }' /tmp/rates)" -ge "$(</tmp/wanted)"
}

exec 3>&1
echo 0 >/tmp/wanted
peer_up
modprobe pktgen
try "interface" prepare
# For each packet a page, and a mapping: a pool asks for neither once it has them. Another ring of
# them cannot be had, so the interface has to keep the one that it has.
BUFFERS=none
try "driver without a pool" reload
for kind in pages mappings; do
	for rate in "${PER_PACKET[@]}"; do try "no pool and no $kind, one time in $rate" without $kind "$rate" rings restart; done
done
BUFFERS=rust
try "driver with our pool" reload
ALL=(unbind down rings restart)
# A ring takes several batches of pages: with each second one refused there is none for minutes, and
# the interface would not come up again. The same holds for mappings where page_owner makes the kernel
# give out one page at a time.
MAPPED=("${ALL[@]}")
[[ ! -e /sys/kernel/debug/page_owner ]] || MAPPED=(rings restart)
for rate in "${PER_PACKET[@]}"; do try "no pages, one time in $rate" without pages "$rate" rings restart; done
for rate in "${PER_PACKET[@]}"; do try "no mappings, one time in $rate" without mappings "$rate" "${MAPPED[@]}"; done
for rate in "${PER_PACKET[@]}"; do try "no skbs, one time in $rate" without skbs "$rate" "${ALL[@]}"; done
# These are asked for once in a deed, or in two.
for kind in rings netdevs interrupts; do
	for rate in "${PER_DEED[@]}"; do try "no $kind, one time in $rate" without $kind "$rate" "${ALL[@]}"; done
done
try "packets received" enough
try "no mapping is left, and no page" remove
