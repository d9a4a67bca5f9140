#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What "make bench" does after the modules are built: our pool, the C page_pool and
# the page allocator side by side, in two lanes:
#
#   instructions  QEMU's -icount, one CPU, stock kernel: repeats to 0.1 %, and gates
#   time          User-Mode Linux at native speed; the rings as pinned host threads
#
# Everything arrives in results/bench: bench.json, tables, plots. "--help": options.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() {
	cat <<-END
	usage: scripts/bench.sh [options]
	  --case NAME   only this case, as the tables call it
	  --check       instructions only, against samples/bench/baseline.json: fails when
	                one of ours grew by more than 2 %
	  --update      instructions only; writes that file
	  --document    all, and puts the page and the plot into Documentation/
	  --out DIR     in the checkout or the cache; default results/bench
	END
}

case='' mode=all document='' out=$RPP_TOP/results/bench
while (($#)); do
	case $1 in
	--document) document=1 ;;
	--check | --update) mode=${1#--} ;;
	--help | -h) usage; exit 0 ;;
	--case | --out)
		(($# > 1)) || die "$1 needs a value; see scripts/bench.sh --help"
		printf -v "${1#--}" %s "$2"
		shift ;;
	*) die "unknown option $1; see scripts/bench.sh --help" ;;
	esac
	shift
done

# Zeroing pages and the mitigations make the page allocator and calls dearer.
APPEND='init_on_alloc=0 mitigations=off'

# instructions IOMMU: the bench modules in QEMU.
instructions() {
	local -A option=([off]='' [strict]=--iommu [lazy]='--iommu --append iommu.strict=0')
	# shellcheck disable=SC2086 # words
	"$RPP_TOP/scripts/vm.sh" --quiet --out "$out/$1" --icount --device pci-testdev ${option[$1]} \
		--append "$APPEND" --add "$K_OUT/upstream/bench_page_pool.ko" \
		--run "CASE=$case LOOPS=30000 ROUNDS=5 bash samples/bench/bench.sh"
}

# packets IOMMU: whole packets through the drivers.
packets() {
	local iommu=()
	[[ $1 == strict ]] && iommu=(--iommu)
	"$RPP_TOP/scripts/vm.sh" --quiet --out "$out/packets-$1" --nic e1000 --nic e1000e --nic igb --icount "${iommu[@]}" \
		--append "$APPEND" --timeout 1800 \
		--run "VARIANTS='pool whole kernel alloc c c-map igb c-igb' PACKETS=30000 LONGER=30 WARMUP=10000 ROUNDS=2 COUNT_PACKETS=0 MODES='${case:-drop tx copy page page_held}' \
			bash samples/pktgen/bench.sh"
}

# queues: one queue and two, each with a CPU. The sender has that of the first.
queues() {
	"$RPP_TOP/scripts/vm.sh" --quiet --out "$out/packets-queues" --nic e1000 --nic e1000e --nic igb --icount --smp 2 \
		--append "$APPEND" --timeout 1800 \
		--run "VARIANTS='igb igb-2' PACKETS=100000 WARMUP=10000 ROUNDS=2 COUNT_PACKETS=0 MODES='drop copy' \
			SOURCES=198.18.0.1-198.18.0.16 bash samples/pktgen/bench.sh"
}

# The names of the cases that packets() and the rings have.
# shellcheck disable=SC2053 # patterns
wants() { [[ -z $case || $case == $1 ]]; }
PACKETS='@(drop|tx|copy|page|page_held)' RINGS='@(return|pressure)*'

RPP_KERNEL_ENV=$("$RPP_TOP/scripts/kernel.sh" env)
export RPP_KERNEL_ENV
load_kernel "$RPP_KERNEL_ENV"
rm -rf "$out"
mkdir -p "$out"
out=$(cd "$out" && pwd)
{
	echo "kernel=$K_RELEASE"
	echo "append=$APPEND"
	echo "commit=$(git -C "$RPP_TOP" describe --always --dirty 2>/dev/null || echo unknown)"
	sed 's/ /=/' "$RPP_ROOT/compilers"
	# Its CPU decides what the kernel patches itself to.
	echo "qemu=$(in_root qemu-system-x86_64 --version | sed -n 's/.*version \([0-9.]*\).*/\1/p')"
	echo "configuration=$(grep -hE '^CONFIG_(PREEMPT_LAZY|HZ|CC_OPTIMIZE_FOR_[A-Z]*|MEMCG|INIT_ON_ALLOC_DEFAULT_ON|RUST_OVERFLOW_CHECKS|SMP|JUMP_LABEL)=' "$K_DIR/.config" | sed 's/CONFIG_//' | xargs)"
} >"$out/about"
# How long each function is, to say where a figure comes from that has grown.
for module in rust_page_pool page_pool_bench e1000_rust igb_rust; do
	in_root objdump -dC --no-show-raw-insn "$K_OUT/$module.ko"
done | awk '/^[0-9a-f]+ <.*>:$/ { name = substr($0, 19, length($0) - 20); next }
	/^ *[0-9a-f]+:\t/ && name !~ /^__pfx/ && !/\tnop/ { n[name]++ }
	END { for (name in n) print n[name], name }' | sort -k2 >"$out/functions"

if wants "$PACKETS"; then
	step xdp-programs 5 "XDP programs" in_root make -C "$RPP_TOP/samples/xdp" CLANG=clang-19
	step held 2 "a socket that reads late" in_root gcc -static -O2 -Wall -o "$RPP_TOP/samples/pktgen/held" "$RPP_TOP/samples/pktgen/held.c"
fi
if wants "!($PACKETS|$RINGS)"; then
	step upstream-bench 10 "the kernel's own bench" "$RPP_TOP/scripts/kernel.sh" upstream-bench
	step bench-instructions 60 "instructions: pools, IOMMU off and strict" both instructions off strict
	[[ $case == untagged* || $case == upstream* ]] ||
		step bench-lazy 30 "instructions: pools, IOMMU lazy" instructions lazy
fi
if wants "$PACKETS"; then
	step bench-packets 260 "instructions: packets, IOMMU off and strict" both packets off strict
	[[ $case ]] || step bench-queues 60 "instructions: packets, one queue and two" queues
fi
if [[ $mode == all ]]; then
	# Nothing else runs meanwhile.
	if wants "$RINGS"; then
		step bench-ring 20 "time: rings" "$RPP_TOP/scripts/bench-ring.sh" --out "$out"
	fi
	if wants "!($PACKETS|$RINGS|untagged*)"; then
		if [[ -e $RPP_CACHE/uml/kernel.env ]]; then
			KERNEL=uml step uml-modules 20 "modules for User-Mode Linux" "$RPP_TOP/scripts/kernel.sh" modules
			step bench-uml 20 "time: pools in User-Mode Linux" "$RPP_TOP/scripts/uml.sh" --quiet --out "$out/uml" \
				--run "CASE=$case LOOPS=100000 ROUNDS=30 bash samples/bench/bench.sh"
		else
			say "  no time lane for the pools: run 'make kernel KERNEL=uml' first, about 10 minutes"
		fi
	fi
fi

status=0
in_root python3 "$RPP_TOP/scripts/bench.py" "$out" "$mode" "$RPP_TOP/samples/bench/baseline.json" || status=$?
if [[ $mode == all && -s $out/bench.json ]]; then
	in_root python3 "$RPP_TOP/scripts/bench-plot.py" "$out"
	say "  in $out: bench.json bench.txt bench.rst bench.png bench.svg"
	if [[ $document ]]; then
		cp "$out/bench.rst" "$RPP_TOP/Documentation/networking/rust_page_pool_bench.rst"
		cp "$out/bench.svg" "$RPP_TOP/Documentation/networking/rust_page_pool_bench.svg"
	fi
fi
exit "$status"
