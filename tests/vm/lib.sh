# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Shared by the tests beside this file. They run as root in the VM, in /rpp, and
# print KTAP. DRIVER is the driver under test; with DRIVER=e1000 the same tests
# run on the C driver, and what only a pool can do is skipped; so it is with BUFFERS=kernel or
# none, where our driver's buffers come from elsewhere.

DRIVER=${DRIVER:-e1000_rust}
BUFFERS=${BUFFERS:-rust}
LOG=/tmp/test.log
DEBUGFS=/sys/kernel/debug/rust_page_pool
ran=0 failures=0 planned=0

# How many times longer everything may take, on a slow kernel.
RPP_SLOW=${RPP_SLOW:-1}
# The debug kernel: what its checkers found is one more test at the end of each script.
CHECKERS=''
[[ -e /sys/kernel/debug/kmemleak ]] && CHECKERS=1

# plan COUNT [OURS]: begins a test script. So many of the tests are about our pool, and not for others.
plan() {
	planned=$(($1 + ${CHECKERS:-0}))
	[[ $BUFFERS == rust ]] || planned=$((planned - ${2:-0}))
	echo "KTAP version 1"
	echo "# $(basename "$0" .sh), driver $DRIVER, buffers $BUFFERS"
	echo "1..$planned"
	trap finish EXIT
}

finish() {
	local jobs
	jobs=$(jobs -p)
	# shellcheck disable=SC2086 # a list of numbers
	[[ $jobs ]] && kill -9 $jobs 2>/dev/null
	# The modules stay where they are, which is nowhere.
	recover() { :; }
	[[ $CHECKERS ]] && try "checkers: still on, no leak, no DMA error" checkers
	((ran == planned)) || echo "# planned $planned tests, ran $ran"
	((ran == planned && failures == 0)) || exit 1
}

# try NAME COMMAND...: one test. It fails at the first command that does, and then
# shows what was printed. "skip" ends it as well. What it left running is killed.
try() {
	local name=$1 status start
	shift
	((failures)) && recover >/dev/null 2>&1
	start=$SECONDS
	ran=$((ran + 1))
	(
		set -eE
		# Without a word about each.
		trap 'exec >/dev/null 2>&1; jobs -p | xargs -r kill -9 || true' EXIT
		trap '((BASH_SUBSHELL > 1)) || echo "line $LINENO: $BASH_COMMAND"' ERR
		"$@"
	) >"$LOG" 2>&1
	status=$?
	case $status in
	0) echo "ok $ran - $name" ;;
	4)
		if [[ $BUFFERS == rust ]]; then
			echo "ok $ran - $name # SKIP $(tail -n 1 "$LOG")"
		else
			ran=$((ran - 1))
			echo "# $name: not for buffers=$BUFFERS"
		fi
		;;
	*)
		failures=$((failures + 1))
		echo "not ok $ran - $name"
		tail -n 25 "$LOG" | sed 's/^/# /'
		;;
	esac
	((SECONDS - start < 10)) || echo "# took $((SECONDS - start)) s"
}

# recover: after a failure, puts things right for the next test.
recover() { :; }

skip() {
	echo "$*"
	exit 4
}

# check WHAT LEFT OPERATOR RIGHT: compares two numbers, and says so when it fails.
check() {
	test "$2" "$3" "$4" && return
	echo "$1: '$2' $3 '$4' does not hold"
	return 1
}

# fails COMMAND...: it has to. ("! COMMAND" would not end a test.)
fails() {
	if "$@"; then
		echo "should have failed: $*"
		return 1
	fi
}

# eventually SECONDS COMMAND...: waits until COMMAND succeeds.
eventually() {
	local end=$((${EPOCHREALTIME/./} + $1 * RPP_SLOW * 1000000))
	shift
	until "$@" >/dev/null 2>&1; do
		((${EPOCHREALTIME/./} < end)) || { echo "never: $*"; return 1; }
		sleep 0.2
	done
}

# lost KB LIMIT: how much less free_kb says than KB, which was before. KASAN keeps what is freed, so
# there it is kmemleak and page_owner that tell; see checkers.
lost() {
	local now
	now=$(free_kb)
	echo "free before: $1 kB, now: $now kB"
	[[ $CHECKERS ]] || check "kB lost" $(($1 - now)) -lt "$2"
}

# leaks: what kmemleak finds. It passes over what is younger than five seconds, and reports what
# stays the same over two scans.
leaks() {
	sleep 6
	for _ in 1 2 3; do
		echo scan >/sys/kernel/debug/kmemleak
	done
	cat /sys/kernel/debug/kmemleak
}

# pages_of FRAMES: how many pages are allocated for which page_owner has FRAMES, a regular expression on
# the calls that led there, with ";" between them, the last one first. (Of a module that is gone the
# addresses are left.) What the kernel keeps for itself does not count: slabs, KASAN's shadow, page
# tables of the IOMMU and of the kernel's own mappings (each ioremap() may be at another place), the
# checkers' record of stacks, the page that the heads of skbs are cut from. Those found are in /tmp/pages.
pages_of() {
	: >/tmp/pages
	FRAMES=$1 awk 'BEGIN { RS = ""; FS = "\n"; OFS = ";" }
		{ pages = $NF; $1 = $1 }
		$0 ~ ENVIRON["FRAMES"] && !/_slab\+|__kasan_|iommu_alloc_pages|__(p4d|pud|pmd|pte)_alloc|stack_depot_save|page_frag/ {
			sub(/.*: */, "", pages)
			n += pages
			print >"/tmp/pages"
		}
		END { print n + 0 }' /sys/kernel/debug/page_owner_stacks/show_stacks
}
OURS='(\[(rust_|e1000_rust|igb_rust|wrong)| 0xff)'
# pages_of_pools: those that a pool allocated, and that nobody has freed.
pages_of_pools() { pages_of "alloc_pages_((bulk|node)_)?noprof[^;]*;[^;]*$OURS"; }
no_page_left() { [[ $(pages_of "$OURS") == 0 ]]; }

# checkers: those that do not report by the kernel log, and those that switch themselves off.
checkers() {
	local dma=/sys/kernel/debug/dma-api
	grep "debug_locks: *1\$" /proc/lockdep_stats
	check "errors of DMA_API_DEBUG" "$(<$dma/error_count)" -eq 0
	[[ $(<$dma/disabled) == N ]]
	leaks >/tmp/leaks
	cat /tmp/leaks
	fails grep -q "unreferenced object" /tmp/leaks
	# kmemleak knows nothing of pages.
	eventually 10 no_page_left || { tr ';' '\n' </tmp/pages; return 1; }
}

# is_rust: the driver is ours. has_pool: and its buffers come from our pool.
is_rust() { [[ $DRIVER == *_rust ]]; }
has_pool() { is_rust && [[ $BUFFERS == rust ]]; }

# total NAME: mapped, unmapped, escaped, control or unbalanced, over all pools that ever were.
total() { awk -v n="$1" '$1 == n { print $2 }' "$DEBUGFS/totals"; }

# free_kb: what the page allocator has, that on the CPUs' own lists included, which MemFree is
# without.
free_kb() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
	awk '$1 == "pages" && $2 == "free" { n += $3 } $1 == "count:" { n += $2 } END { print n * 4 }' /proc/zoneinfo
}
