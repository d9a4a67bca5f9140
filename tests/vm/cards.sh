#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Two cards under our drivers, and four CPUs: XDP on as many queues of the 82576 sends frames on to the 82540EM, which is on
# another wire, and back. CPUs, queues and a card go and come back meanwhile.

cd "$(dirname "$0")/.." || exit
export DRIVER=igb_rust CARD=0x10c9 PEER_DRIVER=e1000e
# One for each CPU. (A kernel may be made for fewer than four.)
QUEUES=$(nproc)
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh
# shellcheck source=../../samples/nics.sh
. samples/nics.sh
# The 82540EM, and who else is on its wire.
OTHER_MAC=52:54:00:00:00:03
FAR=''
N=$((4000 / RPP_SLOW))
# Nanoseconds, for others to do something on a slow kernel, where one CPU may be all that there is for a while.
PAUSE=$((RPP_SLOW == 1 ? 0 : 2000000))

plan 9

has_other() { [[ $(nic_of $OTHER_MAC) ]]; }
other_carrier() { [[ $(<"/sys/class/net/$(nic_of $OTHER_MAC)/carrier") == 1 ]]; }

far_carrier() { [[ $(ip netns exec far cat "/sys/class/net/$FAR/carrier") == 1 ]]; }

# redirect FROM TO: all that comes by FROM, or nothing again.
redirect() {
	local map n
	ip -force link set dev "$1" xdpdrv obj samples/xdp/xdp_redirect.o sec xdp
	# (The newest.)
	map=$(bpftool map show name tx_port | awk -F: '/^[0-9]/ { id = $1 } END { print id }')
	n=$(<"/sys/class/net/$2/ifindex")
	bpftool map update id "$map" key 0 0 0 0 value $((n & 255)) $((n >> 8)) 0 0
}

other_up() {
	insmod e1000_rust.ko
	eventually 10 has_other
	ip link set "$(nic_of $OTHER_MAC)" up
	eventually 30 other_carrier
}

both() {
	# Both drivers know it.
	echo e1000 >"/sys/bus/pci/devices/$(of_device 0x100f)/driver_override"
	load_driver
	up
	other_up
	modprobe e1000
	ip netns add far
	FAR=$(nic_of 52:54:00:00:00:04)
	ip link set "$FAR" netns far
	ip -n far link set "$FAR" promisc on
	ip -n far link set "$FAR" up
	eventually 10 far_carrier
	ip -n peer link set "$PEER" promisc on
	echo "$FAR" >/tmp/far
	# QEMU's takes no frame in its first second.
	sleep 2
	check "interrupts of queues" "$(grep -c "$(iface)-TxRx-[0-9]\$" /proc/interrupts)" -eq "$QUEUES"
	ping_peer
}

# redirect_both: each to the other one, until both flow.
redirect_both() {
	redirect "$(iface)" "$(nic_of $OTHER_MAC)"
	redirect "$(nic_of $OTHER_MAC)" "$(iface)"
	eventually 10 both_flow
}

# received NAMESPACE INTERFACE: frames.
received() { ip netns exec "$1" cat "/sys/class/net/$2/statistics/rx_packets"; }
at_far() { received far "$(</tmp/far)"; }
at_peer() { received peer "$PEER"; }
has_more() { (($("$1") >= $2)); }

# send NAMESPACE INTERFACE MAC COUNT MICROSECONDS: of 200 flows, with so long between.
send() {
	SOURCE=10.9.1.1-10.9.1.200 ip netns exec "$1" bash samples/pktgen/send.sh -i "$2" -m "$3" -n "$4" -s 60 -b 1 -w $(($5 * 1000))
}

# Each of the queues, and none is lost.
four_queues() {
	local queue before=() far
	redirect "$(iface)" "$(nic_of $OTHER_MAC)"
	for ((queue = 0; queue < QUEUES; queue++)); do before+=("$(of_queue "$queue")"); done
	far=$(at_far)
	send peer "$PEER" "$MAC" "$N" 100
	eventually 10 has_more at_far $((far + N))
	for ((queue = 0; queue < QUEUES; queue++)); do
		check "frames by queue $queue" $(($(of_queue "$queue") - before[queue])) -ge $((N / 10))
	done
}

# What comes by the 82540EM goes out by the rings that the 82576 has for XDP.
back() {
	local peer
	redirect "$(nic_of $OTHER_MAC)" "$(iface)"
	peer=$(at_peer)
	send far "$(</tmp/far)" $OTHER_MAC "$N" 100
	eventually 10 has_more at_peer $((peer + N))
}

# flood: both ways, as fast as it goes, until "calm".
flood() {
	SOURCE=10.9.1.1-10.9.1.200 ip netns exec peer bash samples/pktgen/send.sh -i "$PEER" -m "$MAC" -n 0 -s 60 -b 16 -w "$PAUSE" &
	FLOODS=$!
	ip netns exec far socat -u -b 900 OPEN:/dev/zero "UDP4-DATAGRAM:10.9.2.255:7,broadcast" &
	FLOODS+=" $!"
	eventually 10 both_flow
}
both_flow() {
	local far peer
	far=$(at_far) peer=$(at_peer)
	sleep 0.5
	(($(at_far) > far + 20 && $(at_peer) > peer + 20))
}
calm() {
	ip netns exec peer bash -c 'echo stop >/proc/net/pktgen/pgctrl'
	# shellcheck disable=SC2086 # numbers
	kill $FLOODS || true
	# shellcheck disable=SC2086
	wait $FLOODS || true
}

both_ways() {
	ip -n far addr add 10.9.2.1/24 broadcast 10.9.2.255 dev "$(</tmp/far)"
	flood
	sleep 2
	calm
	pool_clean
}

# CPUs of which each has a queue's interrupt, pages in its ring, and sends for XDP.
cpus() {
	local cpu
	flood
	for ((cpu = QUEUES - 1; cpu > 0; cpu--)); do
		echo 0 >/sys/devices/system/cpu/cpu$cpu/online
		eventually 10 both_flow
	done
	for ((cpu = 1; cpu < QUEUES; cpu++)); do echo 1 >/sys/devices/system/cpu/cpu$cpu/online; done
	eventually 10 both_flow
	calm
	pool_clean
}

channels() {
	local n
	flood
	for n in 1 3 2 "$QUEUES"; do
		((n <= QUEUES)) || continue
		ethtool -L "$(iface)" combined "$n"
		eventually 30 both_flow
	done
	calm
	pool_clean
}

# The card that frames are sent on to goes, and comes back; then the one that they come from.
target_goes() {
	flood
	rmmod e1000_rust
	sleep 1
	pool_clean
	other_up
	redirect_both
	calm
	pool_clean
}

source_goes() {
	flood
	unload_driver
	sleep 1
	insmod igb_rust.ko
	eventually 10 has_iface
	use_queues
	up
	redirect_both
	calm
	ip link set "$(iface)" xdpdrv off
	ping_peer
	pool_clean
}

remove() {
	redirect "$(iface)" "$(nic_of $OTHER_MAC)"
	flood
	rmmod e1000_rust
	calm
	remove_modules
}

modprobe pktgen
sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 || true
peer_up
try "two cards, four queues" both
try "REDIRECT on four queues to the other card: all arrive" four_queues
try "REDIRECT back: all arrive" back
try "both ways at once" both_ways
try "CPUs go and come back, under that" cpus
try "ethtool -L, under that" channels
try "the card that is sent to goes, under that" target_goes
try "the card that is received by goes, under that" source_goes
try "removal, under that" remove
