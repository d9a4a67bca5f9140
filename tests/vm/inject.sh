# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Allocations that fail, on a kernel with fault injection
# (Documentation/fault-injection/fault-injection.rst).

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

# Where the code of our modules lies: from here, to here.
text() {
	local m size from to low=0 high=0
	for m in rust_page_pool rust_net e1000_rust; do
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
	all interval "$2"
	all probability "$1"
}

off() {
	local end
	all probability 0
	for end in {require,reject}-{start,end}; do all "$end" 0; done
}
