# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2120 # variables that others use, arguments that few give
#
# Who keeps received pages: hold(1) beside this file, and what sends to it. Source it after net.sh.

HELD=/tmp/held DUMP=/tmp/dump

# start_hold HOW WHERE [FILE]: hold, until let_go.
start_hold() {
	rm -f /tmp/hold.in "$HELD"
	mkfifo /tmp/hold.in
	# The FIFO's writer: hold ends when it does.
	sleep 1000 >/tmp/hold.in &
	HOLD_IN=$!
	./hold "$@" </tmp/hold.in >"$HELD" &
	HOLD=$!
	SENDER=''
}

# send_tcp PORT [BYTES]: what hold does not take stays in the sockets. The sender waits, or ends when they
# have room for all of it. BYTES at a time.
send_tcp() {
	eventually 10 has_socket tcp "$1"
	ip netns exec peer socat -u -b "${2:-8192}" OPEN:/tmp/content "TCP4:$ADDR:$1" &
	SENDER=$!
}

# send_udp PACKETS: to the port that hold looks for.
send_udp() {
	in_peer socat -u -b 1400 "OPEN:/tmp/content,readbytes=$(($1 * 1400))" "UDP4-SENDTO:$ADDR:7000"
}

# held WHAT LEAST: hold says that it has at least LEAST of WHAT.
held() {
	eventually 20 grep -q "$1" "$HELD"
	cat "$HELD"
	check "$1" "$(awk -v what="$1" '$1 == what { print $2 }' "$HELD")" -ge "$2"
}

# misses PAGES: the pool does.
misses() {
	has_pool || return 0
	echo "$(outstanding) pages outstanding"
	check "pages outstanding" "$(outstanding)" -ge "$1"
}

# let_go [SIGNAL]: hold closes and unmaps itself, or is killed.
let_go() {
	if [[ ${1-} ]]; then kill "-$1" "$HOLD"; fi
	kill "$HOLD_IN" || true
	wait "$HOLD_IN" || true
	wait "$HOLD" || true
	[[ ! $SENDER ]] || { kill "$SENDER" 2>/dev/null; wait "$SENDER"; } || true
}
