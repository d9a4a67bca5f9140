#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The checkers of the debug kernel, each shown something wrong (tests/modules/wrong). It has
# to report that, in words that scripts/vm.sh takes for a complaint.

cd "$(dirname "$0")/.." || exit
# shellcheck source=lib.sh
. tests/lib.sh
CHECKERS='' # what finish() asks of them holds no longer
WRONG=/sys/kernel/debug/wrong

# reports WHAT PATTERN: what the kernel log must say to that. In a shell of its own, because
# some of it ends the task.
reports() {
	local pattern=$2
	dmesg -C
	(echo "$1" >$WRONG) || true
	eventually 10 logged "$pattern" || { dmesg | tail -n 20; echo "nothing like '$pattern'"; return 1; }
	dmesg | grep -E -m 1 "$pattern"
	logged "$(<complaints)"
}

logged() { dmesg | grep -qE "$1"; }

hung() {
	# It says so ten times and is silent then.
	sysctl -qw kernel.hung_task_timeout_secs=4
	reports hang "blocked.* for more than 4 seconds"
	sysctl -qw kernel.hung_task_timeout_secs=0
}

dma() {
	echo 10 >/sys/kernel/debug/dma-api/num_errors
	reports "$@"
}

leak() {
	dmesg -C
	(echo leak >$WRONG)
	leaks >/tmp/leaks
	grep -A 12 -m 1 "unreferenced object" /tmp/leaks
	grep -q '\[wrong\]' /tmp/leaks
	logged "$(<complaints)"
}

leak_page() {
	no_page_left
	echo leak_page >$WRONG
	fails no_page_left
	grep '\[wrong\]' /tmp/pages
	# Also when the module is gone.
	rmmod wrong
	fails no_page_left
	insmod wrong.ko
}

# The reference count, and whose page that was.
put_twice() {
	reports put_twice 'VM_BUG_ON_PAGE\(page_ref_count\(page\) == 0\)'
	logged "page_owner tracks the page as freed"
}

# inject WHAT: allocations fail, those of one task, so that no other is disturbed. Some ask for
# silence about that: not only the first one fails.
inject() {
	local f=/sys/kernel/debug/$1
	dmesg -C
	echo Y >"$f/task-filter"
	echo N >"$f/ignore-gfp-wait"
	[[ ! -e $f/min-order ]] || echo 0 >"$f/min-order"
	echo -1 >"$f/times"
	echo 100 >"$f/probability"
	(echo 1 >/proc/self/make-it-fail; exec cat /proc/self/maps) || true
	echo 0 >"$f/probability"
	logged "name $1, "
}

insmod wrong.ko

if [[ -e /sys/kernel/debug/kcsan ]]; then
	plan 1
	try "KCSAN: two CPUs count, neither knows of the other" reports unordered "BUG: KCSAN: data-race in count_too \[wrong\]"
	exit
fi

plan 23
# The task that did wrong ends, the others go on.
sysctl -qw kernel.panic_on_oops=0

# In this order: what ends lockdep, and with it PROVE_RCU, comes after both.
try "DEBUG_PREEMPT: smp_processor_id() where it may change" \
	reports cpu_preemptible "BUG: using smp_processor_id\(\) in preemptible"
try "PROVE_RCU: RCU pointer read outside of a read section" \
	reports rcu_unprotected "WARNING: suspicious RCU usage"
try "DEBUG_ATOMIC_SLEEP: allocation that may sleep, in softirq" \
	reports sleep_in_softirq "BUG: sleeping function called from invalid context"
try "PROVE_LOCKING: two locks, taken in both orders" \
	reports lock_order "WARNING: possible circular locking dependency detected"
try "DETECT_HUNG_TASK: a task sleeps too long" hung
try "DMA_API_DEBUG: unmapped with another size" \
	dma dma_size "DMA-API: .*device driver frees DMA memory with different size"
try "DMA_API_DEBUG: synced after unmapping" \
	dma dma_sync "DMA-API: .*device driver tries to sync DMA memory it has not allocated"
try "DMA_API_DEBUG: mapped still, without a driver" \
	dma dma_pending "DMA-API: .*device driver has pending DMA allocations while released from device"
try "IOMMU: read by a device, not mapped" reports dma_unmapped "DMAR: .*DMA Read.* fault addr 0x1000"
try "UBSAN: shift" reports shift "UBSAN: shift-out-of-bounds"
try "UBSAN: bounds" reports bounds "UBSAN: array-index-out-of-bounds"
try "DEBUG_OBJECTS: work freed while queued" \
	reports free_work "ODEBUG: free active .* object type: work_struct"
try "DEBUG_OBJECTS: timer freed while pending" \
	reports free_timer "ODEBUG: free active .* object type: timer_list"
try "DEBUG_LIST: entry deleted twice" reports list_twice "list_del corruption"
try "FAILSLAB: allocations of a task fail" inject failslab
try "FAIL_PAGE_ALLOC: allocations of a task fail" inject fail_page_alloc
try "DEBUG_KMEMLEAK: pointers lost" leak
try "PAGE_OWNER: page lost" leak_page
try "KASAN: use after free" reports use_after_free "KASAN: slab-use-after-free in use_after_free"
try "KASAN: use after free, in Rust" \
	reports rust_use_after_free "KASAN: slab-use-after-free in wrong_rust_use_after_free"
try "PAGE_POISONING: free page written to" reports write_freed_page "pagealloc: memory corruption"
try "DEBUG_VM, PAGE_OWNER: page put twice" put_twice
try "RUST_DEBUG_ASSERTIONS" reports rust_assertion "rust_kernel: panicked at .*tests/modules/wrong/wrong_rust.rs"
