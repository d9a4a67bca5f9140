#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The guest's side of scripts/zero-copy.sh: upstream's tcp_mmap receives MB over an 82576 under igb_rust, which puts
# headers into buffers of their own. WAY: mmap, or recv, to compare. BUFFERS: rust, or kernel for its own page_pool.
# Adds a line of key=value for the run to the file in $RESULTS.
#
# There is one CPU, whose clock counts instructions. What receiving takes is what the program's thread and the NAPI
# thread of the card run. The sender has threads of its own: the program's, and that of the NAPI of its card.

set -euo pipefail
cd /rpp

export MB=${MB:-256}
BUFFERS=${BUFFERS:-rust}
WAY=${WAY:-mmap}
RESULTS=${RESULTS:-/rpp/out/runs.txt}
# The segments fill pages: 4,096 bytes, and the headers of IPv4 and TCP with a timestamp.
MTU=4148 MSS=4108

# shellcheck source=../nics.sh
. samples/nics.sh
in_peer() { ip netns exec peer "$@"; }
listens() { ss -Htln 'sport = :8787' | grep -q .; }

# ran NAME: nanoseconds that the thread of that name has run.
ran() { cut -d" " -f1 "/proc/$(pgrep "^$1")/schedstat"; }

# count NAME: a counter of ethtool -S.
count() { ethtool -S "$dev" | awk -v n="$1:" '$1 == n { print $2 }'; }
# lost: pages that did not come home: ours were unmapped, the kernel's were let go of.
lost() { echo $(($(count rx_pp_unmapped) + $(count rx_pp_recycle_released_ref))); }

sysctl -q net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
modprobe e1000e
ip netns add peer
# By another name, by which its NAPI thread is told from the other.
ip link set "$(nic_of 52:54:00:00:00:02)" name peer0
ethtool -K peer0 tso off
ip link set peer0 mtu $MTU
echo 1 >/sys/class/net/peer0/threaded
ip link set peer0 netns peer
ip -n peer addr add 10.9.0.2/24 dev peer0
ip -n peer link set peer0 up

insmod rust_page_pool.ko
insmod rust_net.ko "buffers=$BUFFERS"
insmod igb_rust.ko
dev=$(nic_of 52:54:00:00:00:01)
ethtool --set-priv-flags "$dev" split-headers-0 on
ip link set "$dev" mtu $MTU
ip addr add 10.9.0.1/24 dev "$dev"
ip link set "$dev" up
echo 1 >"/sys/class/net/$dev/threaded"
wait_for "the link" ping -q -c 1 -W 1 10.9.0.2

flags=()
[[ $WAY == recv ]] || flags=(-z)
# (Its output would stay in its buffer.)
socat -u EXEC:"./tcp_mmap -4 -s ${flags[*]} -M $MSS",pty,stderr STDOUT >/tmp/said &
wait_for "a listener" listens
lost=$(lost) napi=$(ran "napi/$dev") polls=$(count polls)
in_peer ./tcp_mmap -4 -H 10.9.0.1 -M $MSS >/dev/null
wait_for "the end" grep -q 'usec per MB' /tmp/said
napi=$(($(ran "napi/$dev") - napi))

iommu=off
[[ -e /sys/class/iommu/dmar0 ]] && iommu=strict
echo "kind=run kernel=$(uname -r) iommu=$iommu buffers=$BUFFERS way=$WAY${LABEL:+-$LABEL} mb=$MB napi_ns=$napi" \
	"thread_us_per_mb=$(sed -n 's/.* \([0-9.]*\) usec per MB.*/\1/p' /tmp/said)" \
	"mapped_percent=$(sed -n 's/.*(\([0-9.e-]*\) % mmap.*/\1/p' /tmp/said)" \
	"lost=$(($(lost) - lost)) polls=$(($(count polls) - polls))" >"$RESULTS"
echo "kind=end" >>"$RESULTS"
