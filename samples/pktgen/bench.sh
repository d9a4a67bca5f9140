#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The guest's side of scripts/measure.sh and scripts/bench.sh: receives what pktgen
# sends, with each driver in turn. Writes one line of key=value for each run to the
# file in $RESULTS. There is no arithmetic on results here; see scripts/report.py.
#
# The sender is always the same: a C e1000e, with the kernel's own pktgen script.
# The receiver is the 82540EM, or with igb and c-igb an 82576, with one of these VARIANTS:
#	pool		e1000_rust, pages recycled by the pool, native XDP
#	whole		the same with a page for each packet: with an MTU beyond the usual
#	kernel		the same driver on the kernel's own page pool
#	alloc		the same driver, a page allocated and mapped for each packet
#	c		e1000 as it is (it copies frames up to 256 bytes), generic XDP
#	igb		igb_rust, as pool
#	igb-2		the same with two queues, each with a CPU; the sender has that of the first
#	c-igb		igb as it is, native XDP: halves of pages that it uses again itself
#	c-map		e1000 that maps a new buffer for each packet (copybreak=0), generic XDP
#
# What becomes of the frames, one of MODES:
#	drop		dropped in XDP
#	tx		sent back by XDP
#	copy		up the stack, so small that drivers that copy do (neither igb does)
#	page		up the stack, so large that the page goes with them
#	page_held	the same, into a socket's queue with 1,500 packets before them

set -euo pipefail
cd /rpp

VARIANTS=${VARIANTS:-pool kernel alloc c c-map}
MODES=${MODES:-drop}
PACKETS=${PACKETS:-200000}
# How many times as many in XDP of pool and whole, which differ by little: a run's end is known to 128 us.
LONGER=${LONGER:-1}
WARMUP=${WARMUP:-20000}
ROUNDS=${ROUNDS:-2}
SIZE=${SIZE:-60}
BURST=${BURST:-32}
COUNT_PACKETS=${COUNT_PACKETS:-20000}
RESULTS=${RESULTS:-/rpp/out/runs.txt}

held=''

# Nobody's: the receiving NIC's address filter drops these frames, so that sending
# them costs what the sender costs, and nothing more.
NO_MAC=52:54:00:00:00:99
TRACE=/sys/kernel/tracing

# shellcheck source=../nics.sh
. samples/nics.sh
has_carrier() { [[ $(<"/sys/class/net/$1/carrier") == 1 ]]; }

# driver VARIANT. is_rust VARIANT: it is one of ours.
driver() {
	case $1 in
	igb | igb-2) echo igb_rust ;;
	c-igb) echo igb ;;
	c | c-map) echo e1000 ;;
	*) echo e1000_rust ;;
	esac
}
is_rust() { [[ $(driver "$1") == *_rust ]]; }

# load_rust VARIANT BUFFERS: where they come from.
load_rust() { insmod rust_page_pool.ko && insmod rust_net.ko "buffers=$2" && insmod "$(driver "$1").ko"; }

load() {
	case $1 in
	pool | whole | igb | igb-2) load_rust "$1" rust ;;
	kernel) load_rust "$1" kernel ;;
	alloc) load_rust "$1" none ;;
	c | c-igb) modprobe "$(driver "$1")" ;;
	c-map) modprobe e1000 copybreak=0 ;;
	*) echo "unknown variant $1" >&2 && return 1 ;;
	esac
}

# The C driver is measured without a trace of the Rust modules, their hook included.
unload() {
	rmmod "$(driver "$1")"
	! is_rust "$1" || rmmod rust_net rust_page_pool
}

# attach VARIANT MODE: sets $size as well.
attach() {
	local xdp=xdpgeneric prog
	size=$SIZE
	case $2 in
	drop) prog=xdp_drop ;;
	tx) prog=xdp_tx_nobody ;;
	copy) return ;;
	page) size=1514 && return ;;
	page_held)
		size=1514 truesize=4352
		[[ $1 == @(pool|kernel|igb*|c-igb) ]] && truesize=2304
		ip addr add 198.18.0.42/24 dev "$rx"
		chrt --fifo 2 samples/pktgen/held $((1500 * truesize)) &
		held=$!
		return
		;;
	*) echo "unknown mode $2" >&2 && return 1 ;;
	esac
	[[ $(driver "$1") == e1000 ]] || xdp=xdpdrv
	ip link set dev "$rx" "$xdp" obj "samples/xdp/$prog.o" sec xdp
}
detach() {
	if [[ $held ]]; then
		kill "$held"
		wait "$held" || true
		held=''
		ip addr flush dev "$rx"
		return
	fi
	ip link set dev "$rx" xdpdrv off
	ip link set dev "$rx" xdpgeneric off
}

# counters: the receiver's, and what else shows that a run was what it should be.
counters() {
	local stats=/sys/class/net/$rx/statistics irq pci dir up idle
	# Reading the statistics first makes drivers collect what their hardware counts.
	echo "rx=$(<"$stats/rx_packets") missed=$(<"$stats/rx_missed_errors")"
	read -r up idle </proc/uptime
	echo "up_ms=${up/./}0 idle_ms=${idle/./}0"
	pci=$(readlink -f "/sys/class/net/$rx/device")
	irq=" $(<"$pci/irq"): "
	for dir in "$pci"/msi_irqs/*; do [[ -e $dir ]] && irq+=" ${dir##*/}: "; done
	awk -v irqs="$irq" 'index(irqs, " " $1 " ") { for (i = 2; $i ~ /^[0-9]+$/; i++) n += $i }
		END { print "irqs=" n + 0 }' /proc/interrupts
	# What the program let through would show up here.
	awk '$1 == "Ip:" && $2 ~ /^[0-9]/ { print "stack=" $4 }' /proc/net/snmp
	ethtool -S "$rx" | sed -n 's/^ *\(rx_pp_[a-z_]*\): \([0-9]*\)$/\1=\2/p'
}

# One run; the differences of all counters go with its result.
run() {
	local mac=$1 count=$2 before after result
	before=$(counters)
	result=$(SOURCE=${held:+198.18.0.1}${SOURCES:-} bash samples/pktgen/send.sh -i "$tx" -m "$mac" -n "$count" -s "$size" -b "$BURST")
	after=$(counters)
	echo "$result" "$(tr ' ' '\n' <<<"$before $after" |
		awk -F= '$1 in b { printf "%s=%d ", $1, $2 - b[$1]; next } { b[$1] = $2 }')"
}

# Where tracing slows things down it does no harm: this run is not timed. What is
# counted is what the kernel did, whatever the driver says of itself.
traced_run() {
	local pci events pid event id
	pci=$(basename "$(readlink -f "/sys/class/net/$rx/device")")
	# Packets arrive in softirqs that interrupt pktgen's thread.
	pid=$(pgrep -x kpktgend_0)
	events="dma/dma_map_phys dma/dma_unmap_phys"
	for event in $events; do
		echo "hist:keys=device if device == \"$pci\"" >"$TRACE/events/$event/trigger"
	done
	echo "hist:keys=order if common_pid == $pid" >"$TRACE/events/kmem/mm_page_alloc/trigger"
	sysctl -q kernel.bpf_stats_enabled=1

	run "$RX_MAC" "$COUNT_PACKETS" | tr '\n' ' '

	sysctl -q kernel.bpf_stats_enabled=0
	id=$(ip -j -d link show dev "$rx" | grep -o '"id":[0-9]*' | head -n 1)
	echo -n "xdp_runs=$(bpftool -j prog show id "${id#*:}" | grep -o '"run_cnt":[0-9]*' | cut -d: -f2) "
	for event in $events; do
		echo -n "$(basename "$event")=$(awk '$1 == "Hits:" { print $2 }' "$TRACE/events/$event/hist") "
		echo '!hist:keys=device' >"$TRACE/events/$event/trigger"
	done
	awk '/hitcount:/ { match($0, /order: +[0-9]+/); order = substr($0, RSTART + 6, RLENGTH - 6)
		match($0, /hitcount: +[0-9]+/); pages += substr($0, RSTART + 9, RLENGTH - 9) * 2 ^ order }
		END { print "pages=" pages + 0 }' "$TRACE/events/kmem/mm_page_alloc/hist"
	echo '!hist:keys=order' >"$TRACE/events/kmem/mm_page_alloc/trigger"
}

# spread: the flows over as many queues as are wanted, on as many CPUs.
spread() {
	local queues=1
	[[ $variant != igb-2 ]] || queues=2
	ethtool -L "$rx" combined $queues || true
	ethtool -X "$rx" hkey 6d:5a:56:da:25:5b:0e:c2:41:67:25:3d:43:a3:8f:b0:d0:ca:2b:cb:ae:7b:30:b4:77:cb:2d:a3:80:30:f2:0c:6a:42:b7:3b:be:ac:01:fa
}

# One variant in one mode.
one_mode() {
	local what="variant=$variant mode=$mode round=$round" packets=$PACKETS
	[[ $variant/$mode != @(pool|whole)/@(drop|tx) ]] || packets=$((PACKETS * LONGER))
	attach "$variant" "$mode"
	[[ $variant != whole ]] || ip link set dev "$rx" mtu 1504
	# Neither driver of this card hears of packets as fast as pktgen fills 256 descriptors.
	[[ $variant != *igb* ]] || ethtool -G "$rx" rx 1024
	# They follow the length of frames, by one rule, and QEMU waits four times as long as it is told to: for frames of
	# full size, longer than these rings last. So the interval is the one for short frames.
	# (With two queues half of the frames come by each: twice as long for as many an interrupt.)
	if is_rust "$variant" || [[ $variant == c-igb ]]; then
		fixed_interval "$(driver "$variant")" "$rx" "$([[ $variant == igb-2 ]] && echo 100 || echo 50)"
	fi
	[[ $variant != igb* ]] || spread
	ip link set dev "$rx" up
	wait_for "the link of $variant" has_carrier "$rx"
	wait_for "the sender's link" has_carrier "$tx"
	# QEMU's e1000 takes no frame in the first second after its receiver was
	# switched on, and then all that have queued up at once.
	sleep 2
	# Fills the caches, and the pool.
	run "$RX_MAC" "$WARMUP" >/dev/null

	echo "kind=sender $what $(run "$NO_MAC" "$packets")" >>"$RESULTS"
	echo "kind=both $what $(run "$RX_MAC" "$packets")" >>"$RESULTS"
	if ((round == ROUNDS && COUNT_PACKETS)); then
		echo "kind=count $what $(traced_run)" >>"$RESULTS"
	fi
	ip link set dev "$rx" down
	detach
}

# No frame but pktgen's: IPv6 would look for neighbours.
if [[ -e /proc/sys/net/ipv6 ]]; then
	sysctl -q net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
fi
# pktgen must never wait for the sender's ring: one interrupt for each burst.
modprobe e1000e InterruptThrottleRate=0,0
modprobe pktgen
# Whatever else wants the CPU would do so in some rounds and not in others, first of all
# ksoftirqd, which takes polling over after ten softirqs in a row and polls in smaller pieces:
# up to 15 % of a packet with an IOMMU.
chrt --fifo -p 1 "$(pgrep -x kpktgend_0)"
sysctl -q kernel.sched_rt_runtime_us=-1
tx=$(nic_of 52:54:00:00:00:02)
ip link set dev "$tx" up
wait_for "the sender's link" has_carrier "$tx"

total=$((ROUNDS * $(wc -w <<<"$VARIANTS") * $(wc -w <<<"$MODES"))) n=0
# "DMA" is strict, "DMA-FQ" lazy; without an IOMMU there is no group.
iommu=none
group=/sys/class/net/$tx/device/iommu_group
[[ -e $group ]] && iommu=$(<"$group/type")
# What the kernel has left for itself of it.
ram=$(awk '$1 == "MemTotal:" { print int($2 / 1024) }' /proc/meminfo)
echo "kind=boot kernel=$(uname -r) iommu=$iommu ram=$ram size=$SIZE burst=$BURST" >"$RESULTS"
for ((round = 1; round <= ROUNDS; round++)); do
	for variant in $VARIANTS; do
		load "$variant"
		RX_MAC=52:54:00:00:00:01
		[[ $variant != *igb* ]] || RX_MAC=52:54:00:00:00:03
		rx=$(nic_of "$RX_MAC")
		for mode in $MODES; do
			n=$((n + 1))
			echo "progress $n $total $variant $mode"
			one_mode
		done
		unload "$variant"
	done
done
echo "kind=end" >>"$RESULTS"
