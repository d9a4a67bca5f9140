#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The guest's side of scripts/tcp.sh: TCP over an 82576, with igb_rust and with C igb, and a C e1000e at the other
# end, in a namespace of its own. USECS: the interval between interrupts, the same for both. Writes a line of key=value
# for each run to the file in $RESULTS. There is one CPU, whose clock counts instructions: what is not idle time is what
# both ends take, and the programs.

set -euo pipefail
cd /rpp

DRIVERS=${DRIVERS:-igb_rust igb}
MTUS=${MTUS:-1500 9000}
FLOWS=${FLOWS:-1 4}
DIRECTIONS=${DIRECTIONS:-receive send}
MB=${MB:-256}
ROUNDS=${ROUNDS:-1}
RESULTS=${RESULTS:-/rpp/out/runs.txt}

# shellcheck source=../nics.sh
. samples/nics.sh
in_peer() { ip netns exec peer "$@"; }

# listens WHERE PORT
listens() { "$1" sh -c "ss -Htln 'sport = :$2' | grep -q ."; }
here() { "$@"; }

# busy: microseconds that the CPU was, so far. (The kernel counts idle time in 10 ms.)
busy() { awk '/^cpu / { n = $6 + $5 } END { getline up <"/proc/uptime"; split(up, t, " "); printf "%d", t[1] * 1e6 - n * 1e4 }' /proc/stat; }

# transfer FROM TO ADDRESS MB FLOWS: microseconds.
transfer() {
	local from=$1 to=$2 address=$3 each=$(($4 * 1048576 / $5)) flows=$5 i before receivers=() senders=()
	for ((i = 0; i < flows; i++)); do
		"$to" socat -u -b 65536 "TCP4-LISTEN:$((6000 + i)),reuseaddr" OPEN:/dev/null &
		receivers+=($!)
	done
	for ((i = 0; i < flows; i++)); do wait_for "a listener" listens "$to" $((6000 + i)); done
	before=$(busy)
	for ((i = 0; i < flows; i++)); do
		"$from" socat -u -b 65536 "OPEN:/dev/zero,readbytes=$each" "TCP4:$address:$((6000 + i))" &
		senders+=($!)
	done
	wait "${senders[@]}" "${receivers[@]}"
	echo $(($(busy) - before))
}

if [[ -e /proc/sys/net/ipv6 ]]; then
	sysctl -q net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
fi
modprobe e1000e
ip netns add peer
peer=$(nic_of 52:54:00:00:00:02)
ip link set "$peer" netns peer
ip -n peer link set lo up
ip -n peer addr add 10.9.0.2/24 dev "$peer"

iommu=none
[[ -e /sys/class/iommu/dmar0 ]] && iommu=strict
echo "kind=boot kernel=$(uname -r) iommu=$iommu mb=$MB" >"$RESULTS"
n=0 total=$((ROUNDS * $(wc -w <<<"$DRIVERS") * $(wc -w <<<"$MTUS") * $(wc -w <<<"$FLOWS") * 2))
for ((round = 1; round <= ROUNDS; round++)); do
	for driver in $DRIVERS; do
		if [[ $driver == igb_rust ]]; then
			insmod rust_page_pool.ko && insmod rust_net.ko && insmod igb_rust.ko
		else
			modprobe "$driver"
		fi
		dev=$(nic_of 52:54:00:00:00:01)
		for mtu in $MTUS; do
			ip link set "$dev" mtu "$mtu"
			ip -n peer link set "$peer" mtu "$mtu"
			ip addr replace 10.9.0.1/24 dev "$dev"
			ip link set "$dev" up
			[[ ! ${USECS-} ]] || fixed_interval "$driver" "$dev" "$USECS"
			ip -n peer link set "$peer" up
			wait_for "the link" ping -q -c 1 -W 1 10.9.0.2
			for flows in $FLOWS; do
				for direction in $DIRECTIONS; do
					n=$((n + 1))
					echo "progress $n $total $driver $mtu $flows $direction"
					if [[ $direction == send ]]; then
						transfer here in_peer 10.9.0.2 8 "$flows" >/dev/null
						us=$(transfer here in_peer 10.9.0.2 "$MB" "$flows")
					else
						transfer in_peer here 10.9.0.1 8 "$flows" >/dev/null
						us=$(transfer in_peer here 10.9.0.1 "$MB" "$flows")
					fi
					echo "kind=run driver=$driver mtu=$mtu flows=$flows direction=$direction round=$round us=$us" >>"$RESULTS"
				done
			done
			ip link set "$dev" down
			ip -n peer link set "$peer" down
		done
		ip addr flush dev "$dev"
		rmmod "$driver"
		[[ $driver != igb_rust ]] || rmmod rust_net rust_page_pool
	done
done
echo "kind=end" >>"$RESULTS"
