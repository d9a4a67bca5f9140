#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What "make run" does after the modules are built: boots the VM with the IOMMU off
# and strict, and once with RAM that the NIC cannot address; has samples/pktgen/bench.sh
# drive traffic in it, and prints the table.
# Everything arrives in results/. "--help" tells the options.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() {
	cat <<-END
	usage: scripts/measure.sh [options]
	  --packets N        in each timed run (default 200000)
	  --rounds N         timed runs of each variant (default 2)
	  --size BYTES       frame size without checksum (default 60)
	  --burst N          frames that the sender queues at once (default 32)
	  --debian-defaults  zero each page that is allocated, and mitigate, as Debian
	                     does; usually init_on_alloc=0 mitigations=off
	  --out DIR          in the checkout or the cache; default results/
	END
}

packets=200000 rounds=2 size=60 burst=32 append='init_on_alloc=0 mitigations=off' out=$RPP_TOP/results
while (($#)); do
	case $1 in
	--debian-defaults) append='' ;;
	--help | -h) usage; exit 0 ;;
	--packets | --rounds | --size | --burst | --out)
		(($# > 1)) || die "$1 needs a value; see scripts/measure.sh --help"
		printf -v "${1#--}" %s "$2"
		shift ;;
	*) die "unknown option $1; see scripts/measure.sh --help" ;;
	esac
	shift
done

# boot NAMES: one VM after the other, the results in $out/NAME.
boot() {
	local -A options=([off]='' [strict]=--iommu [large]='--mem 3072') variants=([large]=pool)
	local name all='igb c-igb pool kernel alloc c c-map'
	for name in $1; do
		# shellcheck disable=SC2086 # words
		"$RPP_TOP/scripts/vm.sh" --out "$out/$name" --nic e1000 --nic e1000e --nic igb --icount ${options[$name]} \
			--append "$append" --timeout 1500 \
			--run "VARIANTS='${variants[$name]-$all}' PACKETS=$packets ROUNDS=$rounds SIZE=$size BURST=$burst \
				bash samples/pktgen/bench.sh" || return
	done
}

mkdir -p "$out"
out=$(cd "$out" && pwd)
rm -rf "$out"/{off,strict,large} "$out"/run.{json,txt,png,svg}
printf '%s\n' "$append" >"$out/append"

step xdp-programs 5 "XDP programs" in_root make -C "$RPP_TOP/samples/xdp" CLANG=clang-19
failed="the measurement broke down: see the log above, and $out/*/console.log" \
	step measure 300 "VMs, IOMMU off and strict, and 3 GB: $rounds rounds of up to 7 variants, $packets packets each" both boot strict "off large"

# A failed check is the exit code, but what was measured is plotted all the same.
status=0
in_root python3 "$RPP_TOP/scripts/report.py" "$out" || status=$?
[[ -s $out/run.json ]] || exit 1
in_root python3 "$RPP_TOP/scripts/plot.py" "$out"
say "  in $out: run.json run.txt run.png run.svg"
exit "$status"
