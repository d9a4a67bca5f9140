#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What it costs several CPUs to return pages into one pool, at native speed: our rings
# against the ptr_ring and the spinlock of the kernel's page_pool, both in a program on
# this machine. And what a packet pays for the question about the pressure.
# samples/bench/ring/ring.rs and pressure.rs say what is measured.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() {
	cat <<-END
	usage: scripts/bench-ring.sh [options]
	  --rounds N    of each case and side (default 100)
	  --out DIR     for ring.txt, a line for each round (default results/)
	END
}

rounds=100 out=$RPP_TOP/results
while (($#)); do
	case $1 in
	--help | -h) usage; exit 0 ;;
	--rounds | --out)
		(($# > 1)) || die "$1 needs a value; see scripts/bench-ring.sh --help"
		printf -v "${1#--}" %s "$2"
		shift ;;
	*) die "unknown option $1; see scripts/bench-ring.sh --help" ;;
	esac
	shift
done

load_kernel "$("$RPP_TOP/scripts/kernel.sh" env)"
mkdir -p "$out"
build=$(mktemp -d "$RPP_CACHE/bench-ring.XXXXXX")
trap 'rm -rf "$build"' EXIT

# With the kernel's own options where they matter for speed. What the kernel's sources
# include is its own if it is about locks, or made for programs; all else is empty, see peer.c.
compile() {
	local bench=$RPP_TOP/samples/bench/ring header
	for header in linux/{cpumask,hardirq,percpu,percpu-defs,prefetch,smp,tracepoint-defs}.h \
		asm/{mcs_spinlock,percpu,qspinlock}.h asm-generic/percpu.h trace/events/lock.h; do
		mkdir -p "$build/${header%/*}"
		: >"$build/$header"
	done
	ln -s "$K_SOURCE"/include/asm-generic/{qspinlock,qspinlock_types,mcs_spinlock}.h "$build/asm-generic/"
	in_root gcc -std=gnu11 -D_GNU_SOURCE -O2 -fno-strict-aliasing -fno-strict-overflow -Wall -Werror \
		-I"$build" -I"$K_SOURCE" \
		-isystem "$K_SOURCE/tools/include" -isystem "$K_SOURCE/tools/arch/x86/include" -c -o "$build/peer.o" "$bench/peer.c"
	in_root rustc --edition 2021 -Copt-level=2 -Ccodegen-units=1 -Coverflow-checks=on -Cpanic=abort \
		--check-cfg 'cfg(loom,test,CONFIG_RUST,CONFIG_KUNIT)' -Dwarnings -Clink-arg="$build/peer.o" \
		-o "$build/ring" "$bench/ring.rs"
	# The pool's own source, with what stands for the kernel in the tests.
	local host=$RPP_TOP/tests/host rustc=(rustc --edition 2021 -Copt-level=2 -Cpanic=abort --cap-lints allow
		--out-dir "$build" -L "$build")
	in_root "${rustc[@]}" --crate-type rlib --crate-name kernel "$host/kernel/lib.rs"
	in_root "${rustc[@]}" --crate-type rlib --crate-name page_pool --extern kernel "$host/src/lib.rs"
	in_root "${rustc[@]}" --crate-name pressure --extern page_pool "$bench/pressure.rs"
}

# table FILE: the spread is that of the middle half of the rounds.
table() {
	printf '%-18s %4s  %-9s %8s %8s %7s   %s\n' 'ns for each page' CPUs side min median spread 'ours/page_pool: min, median'
	sed 's/[a-z_]*=//g' "$1" | awk '{ printf "%s %d %s %.6f\n", $2, $3, $4, $7 / $6 }' |
		sort -k1,1r -k2,2n -k3,3 -k4,4n | awk '
		function end() {
			if (!n) return
			min[side] = v[1]
			median[side] = v[int((n + 1) / 2)]
			spread = (v[int((3 * n + 3) / 4)] - v[int((n + 3) / 4)]) / median[side]
			printf "%-18s %4d  %-9s %8.2f %8.2f %6.0f%%", name, cpus, side, v[1], median[side], 100 * spread
			if (side == "page_pool")
				printf "   %.3f %.3f", min["ours"] / v[1], median["ours"] / median[side]
			printf "\n"
			n = 0
		}
		$1 != name || $2 != cpus || $3 != side { end(); name = $1; cpus = $2; side = $3 }
		{ v[++n] = $4 }
		END { end() }'
}

step bench-ring-build 5 "the rings" compile
{
	in_root "$build/ring" "$rounds"
	in_root "$build/pressure" "$(((rounds + 9) / 10))"
} >"$build/ring.txt" || die "the benchmark broke down: see above"
mv "$build/ring.txt" "$out/ring.txt"
table "$out/ring.txt"
