#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The bench on the machine that runs this: loads the modules, prints what they
# measure, a line of key=value for each run of each side, and unloads them. As root,
# where the modules are. CASE: one case; LOOPS, ROUNDS: how much of it. For a table:
#
#	sudo samples/bench/bench.sh | scripts/bench.py -
#
# With a PCI device that no driver has (DEVICE=0000:00:04.0; QEMU's pci-testdev is
# found without) the pools also map their pages, for that device.

set -euo pipefail
cd "${RPP:-.}"
LOOPS=${LOOPS:-100000} ROUNDS=${ROUNDS:-5} CASE=${CASE-} DEVICE=${DEVICE-}

# report: what was written to the kernel log since the last time.
report() {
	dmesg -c | sed -n 's/.*\(case=.* side=.* ns=[0-9]*\)$/\1/p; s/.*bench_page_pool: Type:/upstream=/p'
}

# Pages of no pool: without the hook and with it.
bench_free() {
	[[ -z $CASE || $CASE == untagged* ]] || return 0
	insmod bench_free.ko side="$1" loops="$LOOPS" rounds="$ROUNDS" ${CASE:+case="$CASE"}
	rmmod bench_free
	report
}

# The kernel's own bench, as it is.
bench_upstream() {
	[[ -e bench_page_pool.ko && (-z $CASE || $CASE == upstream) ]] || return 0
	insmod bench_page_pool.ko loops="$LOOPS"
	rmmod bench_page_pool
	report
}

bench_pools() {
	[[ $CASE != untagged* && $CASE != upstream ]] || return 0
	insmod page_pool_bench.ko loops="$LOOPS" rounds="$ROUNDS" ${CASE:+case="$CASE"}
	if [[ $DEVICE ]]; then
		echo page_pool_bench >"/sys/bus/pci/devices/$DEVICE/driver_override"
		echo "$DEVICE" >/sys/bus/pci/drivers_probe
		echo >"/sys/bus/pci/devices/$DEVICE/driver_override"
	fi
	report
	rmmod page_pool_bench
}

dmesg -C
grep -q '^rust_page_pool ' /proc/modules && { echo "unload rust_page_pool first" >&2; exit 1; }
bench_free off
bench_upstream
insmod rust_page_pool.ko
bench_free on
bench_pools
rmmod rust_page_pool
