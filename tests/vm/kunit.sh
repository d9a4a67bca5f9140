#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The tests that the modules carry with them: KUnit has run them when the modules were loaded, and keeps
# what it wrote into the kernel log. One result each.

cd "$(dirname "$0")/.." || exit
# shellcheck source=lib.sh
. tests/lib.sh
KUNIT=/sys/kernel/debug/kunit
SUITES="rust_page_pool_cache rust_page_pool_kept rust_page_pool_limit rust_page_pool_list rust_page_pool_state
	rust_page_pool_tag e1000_rust_desc igb_rust_desc"

# results: of each test its suite, "ok" or "not", and its name. A suite that is not there, or has no test, has
# failed.
results() {
	local suite
	for suite in $SUITES; do
		sed -n "s/^ \+\(ok\|not\)\( ok\)\? [0-9]\+ /$suite \1 /p" "$KUNIT/$suite/results" | grep . ||
			echo "$suite not run"
	done
}

# passed SUITE RESULT
passed() {
	cat "$KUNIT/$1/results"
	[[ $2 == ok ]]
}

if [[ ! -d $KUNIT ]]; then
	plan 1
	try "KUnit" skip "this kernel has none"
	exit
fi
for module in rust_page_pool rust_net e1000_rust igb_rust; do insmod "$module.ko"; done
mapfile -t results < <(results)
plan "${#results[@]}"
for line in "${results[@]}"; do
	read -r suite result name <<<"$line"
	try "$suite: $name" passed "$suite" "$result"
done
