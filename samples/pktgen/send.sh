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
[[ ${1-} == -* && $1 != -h && $1 != --help ]] || usage

samples=${PKTGEN_SAMPLES:-/rpp/pktgen}
log=$(bash "$samples/pktgen_sample03_burst_single_flow.sh" -d 198.18.0.42 "$@" 2>&1) || {
	echo "$log" >&2
	exit 1
}
# Result: OK: 136668(c136668+d0) usec, 50016 (60byte,0frags)
[[ $log =~ OK:\ ([0-9]+)\(c[0-9]+\+d([0-9]+)\)\ usec,\ ([0-9]+) ]] || {
	echo "no result of pktgen: $log" >&2
	exit 1
}
echo "sent=${BASH_REMATCH[3]} usec=${BASH_REMATCH[1]} idle=${BASH_REMATCH[2]}"
