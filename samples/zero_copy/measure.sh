#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The guest's side of scripts/zero-copy.sh: upstream's tcp_mmap receives MB over an 82576 whose headers are split, mapped
# and by recv(), with our pool and with the kernel's. Writes one line of key=value for each run to the file in $RESULTS.
#
# There is one CPU, and its clock counts instructions. What is the receiver's is what its thread and its NAPI thread
# take; sender and sender's NAPI are others.

set -euo pipefail
cd /rpp

MB=${MB:-256}
BUFFERS=${BUFFERS:-rust kernel}
WAYS=${WAYS:-mmap recv}
ROUNDS=${ROUNDS:-1}
RESULTS=${RESULTS:-/rpp/out/runs.txt}
export MB

# shellcheck source=../nics.sh
. samples/nics.sh
in_peer() { ip netns exec peer "$@"; }
listens() { ss -Htln 'sport = :8787' | grep -q .; }

# runtime NAME: nanoseconds that the thread with that name has run.
runtime() { cut -d' ' -f1 "/proc/$(pgrep "^$1")/schedstat"; }

# pool: the counters, as key=value.
pool() { ethtool -S "$dev" | sed -n 's/^ *\(rx_pp_[a-z_]*\|polls\): \([0-9]*\)$/\1=\2/p'; }

# run BUFFERS WAY
run() {
	local flags=() before napi said
	[[ $2 == recv ]] || flags=(-z)
	insmod rust_page_pool.ko && insmod rust_net.ko "buffers=$1" && insmod igb_rust.ko
	dev=$(nic_of 52:54:00:00:00:01)
	ethtool --set-priv-flags "$dev" split-headers-0 on
	# The segments fill pages: 4,096 bytes, with the headers of TCP and IPv6, and a timestamp.
	ip link set "$dev" mtu 4168
	ip addr replace 10.9.0.1/24 dev "$dev"
	ip link set "$dev" up
	echo 1 >"/sys/class/net/$dev/threaded"
	[[ ! ${USECS-} ]] || fixed_interval igb "$dev" "$USECS"
	wait_for "the link" ping -q -c 1 -W 1 10.9.0.2
	# (Its output would stay in its buffer.)
	socat -u EXEC:"./tcp_mmap -4 -s ${flags[*]} -M 4108",pty,stderr STDOUT >/tmp/said &
	wait_for "a listener" listens
	before=$(pool) napi=$(runtime "napi/$dev")
	in_peer ./tcp_mmap -4 -H 10.9.0.1 -M 4108 >/dev/null
	wait_for "the end" grep -q 'usec per MB' /tmp/said
	napi=$(($(runtime "napi/$dev") - napi))
	said=$(tr -d '\r' </tmp/said)
	kill %1
	wait || true
	echo "kind=run buffers=$1 way=$2 round=$round mb=$MB napi_ns=$napi" \
		"thread_us_per_mb=$(sed -n 's/.* \([0-9.]*\) usec per MB.*/\1/p' <<<"$said")" \
		"mapped_percent=$(sed -n 's/.*(\([0-9.e-]*\) % mmap.*/\1/p' <<<"$said")" \
		"$( { echo "$before"; pool; } | awk -F= '$1 in b { printf "%s=%d ", $1, $2 - b[$1]; next } { b[$1] = $2 }')" >>"$RESULTS"
	ip link set "$dev" down
	rmmod igb_rust rust_net rust_page_pool
}

sysctl -q net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
modprobe e1000
ip netns add peer
peer=$(nic_of 52:54:00:00:00:02)
ethtool -K "$peer" tso off
ip link set "$peer" mtu 4168
ip link set "$peer" netns peer
ip -n peer link set lo up
ip -n peer addr add 10.9.0.2/24 dev "$peer"
ip -n peer link set "$peer" up

iommu=none
[[ -e /sys/class/iommu/dmar0 ]] && iommu=strict
echo "kind=boot kernel=$(uname -r) iommu=$iommu mb=$MB" >"$RESULTS"
n=0 total=$((ROUNDS * $(wc -w <<<"$BUFFERS") * $(wc -w <<<"$WAYS")))
for ((round = 1; round <= ROUNDS; round++)); do
	for buffers in $BUFFERS; do
		for way in $WAYS; do
			n=$((n + 1))
			echo "progress $n $total $buffers $way"
			run "$buffers" "$way"
		done
	done
done
echo "kind=end" >>"$RESULTS"
