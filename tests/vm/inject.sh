# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What fails: allocations, on a kernel with fault injection
# (Documentation/fault-injection/fault-injection.rst), and on any kernel what tests/modules/refuse is told.

FAIL=/sys/kernel/debug

can_fail() { [[ -e $FAIL/failslab && -e $FAIL/fail_page_alloc ]]; }

# all ATTRIBUTE VALUE: of both kinds of allocation that can fail.
all() {
	local f
	for f in $FAIL/failslab/$1 $FAIL/fail_page_alloc/$1; do echo "$2" >"$f"; done
}

# quietly: also those that may sleep and reclaim, and without a word in the log.
quietly() {
	all verbose 0
	all times -1
	all task-filter N
	all ignore-gfp-wait N
	echo 0 >$FAIL/fail_page_alloc/min-order
}

# load_quietly: the driver, on a kernel whose allocations can fail.
load_quietly() {
	quietly
	load_driver
	up
	settle
}

# Where the code of our modules lies: from here, to here.
text() {
	local m size from to low=0 high=0
	for m in rust_page_pool rust_net "$DRIVER"; do
		from=$(<"/sys/module/$m/sections/.text")
		size=$(awk -v m=$m '$1 == m { print $2 }' /proc/modules)
		to=$((from + size))
		# As signed numbers they are all negative, and in order.
		((low && low < from)) || low=$((from))
		((high && high > to)) || high=$to
	done
	printf '0x%x 0x%x\n' "$low" "$high"
}

# ours [FUNCTION]: only what is allocated below our modules can fail, without what FUNCTION does. That
# is by default DMA_API_DEBUG's own record, for want of which it switches itself off.
ours() {
	local from to
	read -r from to < <(text)
	all require-start "$from"
	all require-end "$to"
	read -r from to < <(awk -v name="${1:-add_dma_entry}" '$3 == name { from = $1; next }
		from { print "0x" from, "0x" $1; exit }' /proc/kallsyms)
	all reject-start "$from"
	all reject-end "$to"
}

# below PERCENT INTERVAL: of the allocations made below our modules, as many percent of every
# INTERVALth fail.
below() {
	ours
	all times $TIMES
	all interval "$2"
	all probability "$1"
}

# injected: how many have failed since below().
TIMES=1000000000
injected() {
	local f n=0
	for f in $FAIL/{failslab,fail_page_alloc}/times; do n=$((n + TIMES - $(<"$f"))); done
	echo $n
}

off() {
	local end
	all probability 0
	for end in {require,reject}-{start,end}; do all "$end" 0; done
}

# Each with what the kernel calls it, and with what it says when there is none.
declare -A WHAT=(
	[pages]="alloc_pages_bulk_noprof,alloc_pages_node_noprof,alloc_pages_noprof 0"
	[mappings]="dma_map_page_attrs -1"
	[skbs]="__alloc_skb,napi_build_skb 0"
	[rings]="dma_alloc_attrs 0"
	[netdevs]="alloc_etherdev_mqs 0"
	[interrupts]="request_threaded_irq -12"
	[queues]="netif_set_real_num_queues -12"
	[rxqs]="__xdp_rxq_info_reg -12"
)

# refuse KIND RATE: until "rmmod refuse", one in RATE calls of our modules.
refuse() {
	local functions result from to
	read -r functions result <<<"${WHAT[$1]}"
	read -r from to < <(text)
	insmod refuse.ko functions="$functions" result="$result" from="$from" to="$to" of="$2"
}
refused() { cat /sys/module/refuse/parameters/refused; }
