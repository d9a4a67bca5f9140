#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What the modules ask the kernel for is refused: one kind of it at a time, each call or one
# in so many, while packets arrive, rings are resized, and the interface goes down and up and
# is unbound and bound. Packets may be lost, nothing else. RECEIVED is how many arrive meanwhile, for
# each kind and rate that lets an interface come up.

cd "$(dirname "$0")/.." || exit
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh
# shellcheck source=inject.sh
. tests/inject.sh
RECEIVED=${RECEIVED:-20000}
PCI=/sys/bus/pci/drivers/$DRIVER

# Each with what the kernel calls it, and with what it says when there is none.
declare -A WHAT=(
	[pages]="alloc_pages_bulk_noprof,alloc_pages_node_noprof,alloc_pages_noprof 0"
	[mappings]="dma_map_page_attrs -1"
	[skbs]="__alloc_skb,napi_build_skb 0"
	[rings]="dma_alloc_attrs 0"
	[netdevs]="alloc_etherdev_mqs 0"
	[interrupts]="request_threaded_irq -12"
)

plan 22

recover() {
	rm -f /tmp/sending
	rmmod refuse
	has_iface || echo "$DUT" >"$PCI/bind"
	up
}

prepare() {
	load_driver
	up
	settle
}

# reload PARAMETER...: of the driver.
reload() {
	unload_driver
	all_unmapped
	insmod e1000_rust.ko "$@"
	eventually 10 has_iface
	up
	settle
}

# refuse KIND RATE
refuse() {
	local functions result from to
	read -r functions result <<<"${WHAT[$1]}"
	read -r from to < <(text)
	insmod refuse.ko functions="$functions" result="$result" from="$from" to="$to" of="$2"
}
refused() { cat /sys/module/refuse/parameters/refused; }

# deed: the next of DEEDS, which may fail. What is refused one time in two takes a while to come up.
DEEDS=(unbind down rings rings)
deed() {
	local dev i
	dev=$(iface)
	deeds=$((deeds + 1))
	case ${DEEDS[deeds % ${#DEEDS[@]}]} in
	unbind)
		arrived=$((arrived + $(stat_of rx_packets)))
		echo "$DUT" >"$PCI/unbind"
		no_iface
		all_unmapped
		;;
	down) ip link set "$dev" down ;;
	rings) ethtool -G "$dev" rx $((80 + RANDOM % 50 * 8)) tx $((80 + RANDOM % 50 * 8)) || true ;;
	esac
	for ((i = 0; i < 12; i++)); do
		if no_iface; then echo "$DUT" >"$PCI/bind" || continue; fi
		if ip link set "$(iface)" up; then break; fi
	done
}

# without KIND RATE: at least once.
without() {
	local deeds=0 arrived n=0 sender end=$((SECONDS + 240 * RPP_SLOW)) want=$RECEIVED
	# Then it never comes up.
	(($2 > 1)) || want=0
	arrived=-$(stat_of rx_packets)
	refuse "$@"
	: >/tmp/sending
	while [[ -e /tmp/sending ]]; do
		ip netns exec peer bash samples/pktgen/send.sh -i "$PEER" -m "$MAC" -n $((RECEIVED / 3)) -s 300 -b 1 || true
	done >/dev/null 2>&1 &
	sender=$!
	while ((deeds < 4 || n < want || $(refused) == 0)); do
		((SECONDS < end))
		deed
		# QEMU's device is deaf for a second.
		sleep 2
		n=$arrived
		if has_iface; then n=$((n + $(stat_of rx_packets))); fi
	done
	rm /tmp/sending
	echo "# $1, one in $2: $(refused) refused, $deeds deeds, $n packets" >&3
	rmmod refuse
	wait $sender
	if no_iface; then echo "$DUT" >"$PCI/bind"; fi
	eventually 10 has_iface
	up
	ping_peer
	pool_clean
}

clean() {
	unload_driver
	all_unmapped
}

exec 3>&1
peer_up
modprobe pktgen
try "interface" prepare
# For each packet a page, and a mapping: a pool asks for neither once it has them. Another ring of
# them cannot be had, so the interface has to keep the one that it has.
try "driver without recycling" reload recycle=0
all_deeds=("${DEEDS[@]}") DEEDS=(rings)
for kind in pages mappings; do
	for rate in 2 10 511; do try "no $kind, one time in $rate" without $kind $rate; done
done
DEEDS=("${all_deeds[@]}")
try "driver with recycling" reload
for rate in 2 10 511; do try "no skbs, one time in $rate" without skbs $rate; done
# Few of these are asked for.
for kind in rings netdevs interrupts; do
	for rate in 1 2 4; do try "no $kind, one time in $rate" without $kind $rate; done
done
try "no mapping is left" clean
