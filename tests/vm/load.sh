#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The pool's module without a driver: its self-test, and loading it many times.

cd "$(dirname "$0")/.." || exit
# shellcheck source=lib.sh
. tests/lib.sh

PAGES=${PAGES:-1000000}

plan 8

load() { insmod rust_page_pool.ko; }
unload() { rmmod rust_page_pool; }

selftest() {
	load
	cat "$DEBUGFS/selftest"
	check "routes that work" "$(grep -c '^ok ' "$DEBUGFS/selftest")" -ge 18
	fails grep '^not ok ' "$DEBUGFS/selftest"
	grep -x "ok put_page, hook off: freed" "$DEBUGFS/selftest"
	check "sites that caught no page" "$(awk '$1 == "site" && $4 == 0' "$DEBUGFS/selftest" | wc -l)" -eq 0
}

# The self-test's own pool is gone, and its mappings; the negative control has none left either.
idle() {
	cat "$DEBUGFS/pools" "$DEBUGFS/totals"
	check pools "$(grep -c ^pool "$DEBUGFS/pools")" -eq 0
	check mappings "$(total mapped)" -eq "$(total unmapped)"
	check "pages freed past the hook, by the control" "$(total control)" -eq 1
	check "and others" "$(total escaped)" -eq 0
	check "references dropped that were a pool's" "$(total unbalanced)" -eq 0
	unload
	[[ ! -e $DEBUGFS ]]
}

cycles() {
	local i before
	for ((i = 0; i < 20; i++)); do
		load
		unload
		((i == 4)) && before=$(free_kb)
	done
	lost "$before" 2000
}

# Pages are freed all the time while the sites are patched.
tracer() {
	local i t=/sys/kernel/tracing
	(while :; do head -c 3M /dev/zero >/tmp/churn; done) &
	local churn=$!
	echo __folio_put free_unref_folios page_frag_free __free_pages free_pages >$t/set_ftrace_filter
	for ((i = 0; i < 3; i++)); do
		load
		echo function >$t/current_tracer
		eventually 10 traced
		echo nop >$t/current_tracer
		unload
		echo function >$t/current_tracer
		load
		sleep 0.3
		echo nop >$t/current_tracer
		grep -c '^ok ' "$DEBUGFS/selftest"
		fails grep '^not ok' "$DEBUGFS/selftest"
		unload
	done
	echo >$t/set_ftrace_filter
	kill $churn
}

traced() { (($(head -n 1000 /sys/kernel/tracing/trace | grep -c free_) > 10)); }

# A second attempt is refused, and does not disturb the first.
refused() {
	load
	fails load
	fails grep '^not ok ' "$DEBUGFS/selftest"
	unload
}

# Pages return on one CPU while their pool ends on another: PAGES of them, most in large pools for
# many that meet, some in small ones for many ends.
race() {
	local kb
	[[ $(nproc) != 1 ]] || skip "one CPU only"
	load
	insmod race.ko pools=1
	rmmod race
	kb=$(free_kb)
	run_race $((PAGES / 8192 + 1)) 8192
	run_race $((PAGES / 1000)) 128
	check mappings "$(total mapped)" -eq "$(total unmapped)"
	check escaped "$(total escaped)" -eq 0
	check unbalanced "$(total unbalanced)" -eq 0
	lost "$kb" 8000
	unload
}

# run_race POOLS PAGES: so many pools, of so many pages each. Of these some came back before the end, and
# some were let go of by it; with few pages hardly any comes while it goes on.
run_race() {
	dmesg -C
	insmod race.ko pools="$1" pages="$2"
	dmesg | grep -o "race: pages=.*" | sed 's/^/# /' >&3
	rmmod race
	check "pages that came before the pool's end" "$(outcome recycled)" -gt $(($1 * $2 / 20))
	check "pages that came while it went on" "$(outcome released)" -gt $(($1 * $2 / 100))
	check "pages that the pool let go of" "$(outcome revoked)" -gt $(($1 * $2 / 100))
	check "mappings removed twice, or never" "$(outcome wrong)" -eq 0
}
outcome() { dmesg | sed -n "s/.*race: .* $1=\([0-9]*\).*/\1/p"; }

# Bottom halves are turned off only where they may be turned on again, and nothing else is by that.
contexts() {
	local status=0
	load
	dmesg -C
	insmod bh_guard.ko || status=$?
	dmesg | grep "bh_guard: "
	check "status of insmod" "$status" -eq 0
	check "contexts that were tried" "$(dmesg | grep -c "bh_guard: ok")" -eq 18
	fails grep -q "bh_guard: not ok" <(dmesg)
	rmmod bh_guard
	unload
}

# The modules depend on each other in this order, and the kernel keeps to it.
order() {
	load
	insmod rust_net.ko
	fails rmmod rust_page_pool
	insmod e1000_rust.ko
	fails rmmod rust_net
	rmmod e1000_rust
	rmmod rust_net
	unload
}

exec 3>&1
try "self-test: each route works, the control does not" selftest
try "no pool, no mapping when idle" idle
try "loaded and unloaded 20 times" cycles
try "function tracer on and off, before and after" tracer
try "loaded twice" refused
try "pages return while their pool ends, on another CPU" race
try "bottom halves off, on and refused" contexts
try "order of the modules" order
