# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What measurements in the guest need to find their NICs, and to wait for them. Source it.

# nic_of MAC
nic_of() {
	local nic
	for nic in /sys/class/net/*; do
		[[ $(<"$nic/address") == "$1" ]] && basename "$nic" && return
	done
	echo "no NIC with the address $1" >&2
	return 1
}

# wait_for WHAT COMMAND...: until it succeeds.
wait_for() {
	local i what=$1
	shift
	for ((i = 0; i < 100; i++)); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.1
	done
	echo "waited 10 seconds for $what" >&2
	return 1
}

# fixed_interval DRIVER NIC US: between interrupts, of our drivers or C igb. (Of that one it is if it is above 3.)
fixed_interval() {
	[[ $1 == igb ]] || ethtool -C "$2" adaptive-rx off
	ethtool -C "$2" rx-usecs "$3"
}
