#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Sends frames by the kernel's own pktgen script and prints one line:
#
#	sent=N usec=N idle=N
#
# usec is the time from pktgen's first to its last frame, as pktgen measures it;
# idle is how much of it pktgen spent waiting for others.

set -euo pipefail

usage() {
	echo "usage: send.sh -i NIC -m DEST_MAC -n COUNT [-s SIZE] [-b BURST] [option of pktgen_sample03...]" >&2
	exit 2
}
[[ ${1-} == -i && $# -ge 2 ]] || usage

samples=${PKTGEN_SAMPLES:-/rpp/pktgen}
control=/proc/net/pktgen/pgctrl
device=/proc/net/pktgen/$2@0

# The script only configures. It would start pktgen and take the NIC away itself, but pktgen waits
# 125 ms for its thread, which on a busy CPU then finds both orders at once, and warns of the second.
remove() {
	[[ ! -e $device ]] || echo reset >$control
	while [[ -e $device ]]; do sleep 0.1; done
}
trap remove EXIT
remove
log=$(bash "$samples/pktgen_sample03_burst_single_flow.sh" -d 198.18.0.42 "$@" -a 2>&1) || {
	echo "$log" >&2
	exit 1
}
# Without a source address the stack drops what it could deliver. (Or several, one packet after the other: FROM-TO.)
if [[ ${SOURCE-} ]]; then
	echo "src_min ${SOURCE%-*}" >"$device"
	echo "src_max ${SOURCE#*-}" >"$device"
fi
echo start >$control
# Result: OK: 136668(c136668+d0) usec, 50016 (60byte,0frags)
until [[ $(<"$device") =~ OK:\ ([0-9]+)\(c[0-9]+\+d([0-9]+)\)\ usec,\ ([0-9]+) ]]; do
	if ! grep -q "Result: [OS]" "$device"; then
		echo "pktgen cannot send on $2: $(grep Result "$device")" >&2
		exit 1
	fi
	sleep 0.1
done
echo "sent=${BASH_REMATCH[3]} usec=${BASH_REMATCH[1]} idle=${BASH_REMATCH[2]}"
