#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What "make run" does after the modules are built: boots the VM with the IOMMU off
# and strict, has samples/pktgen/bench.sh drive traffic in it, and prints the table.
# Everything arrives in results/. "--help" tells the options.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() {
	cat <<-END
	usage: scripts/measure.sh [options]
	  --packets N        in each timed run (default 60000)
	  --rounds N         timed runs of each variant (default 3)
	  --size BYTES       frame size without checksum (default 60)
	  --burst N          frames that the sender queues at once (default 32)
	  --debian-defaults  boot without init_on_alloc=0 mitigations=off: with these
	                     pages need not be zeroed and indirect calls are plain ones
	  --no-plain         leave out the boots for packets per second
	  --out DIR          default results/
	END
}

packets=60000 rounds=3 size=60 burst=32 append='init_on_alloc=0 mitigations=off' plain=1 out=$RPP_TOP/results
while (($#)); do
	case $1 in
	--debian-defaults) append='' ;;
	--no-plain) plain= ;;
	--help | -h) usage; exit 0 ;;
	--packets | --rounds | --size | --burst | --out)
		(($# > 1)) || die "$1 needs a value; see scripts/measure.sh --help"
		printf -v "${1#--}" %s "$2"
		shift ;;
	*) die "unknown option $1; see scripts/measure.sh --help" ;;
	esac
	shift
done

# boot CLOCK IOMMU VARIABLES...: one VM, its results in $out/CLOCK-IOMMU.
boot() {
	local clock=$1 iommu=$2 args=(--smp 1)
	shift 2
	[[ $clock == icount ]] && args+=(--icount)
	[[ $iommu == strict ]] && args+=(--iommu)
	rm -rf "$out/$clock-$iommu"
	"$RPP_TOP/scripts/vm.sh" --out "$out/$clock-$iommu" --nic e1000 --nic e1000e "${args[@]}" \
		--append "$append" --timeout 900 --run "SIZE=$size BURST=$burst $* bash samples/pktgen/bench.sh"
}

# Instructions do not depend on what else the machine does: both boots at once.
count_instructions() {
	local status=0 iommu pid
	pids=()
	# ^C does not reach what runs in the background.
	trap 'kill "${pids[@]}" 2>/dev/null || true' EXIT
	for iommu in off strict; do
		boot icount "$iommu" PACKETS="$packets" ROUNDS="$rounds" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do wait "$pid" || status=$?; done
	return "$status"
}

# Rates do: one after the other.
packet_rates() {
	boot plain off PACKETS=$((packets / 4)) ROUNDS="$rounds" COUNT_PACKETS=0
	boot plain strict PACKETS=$((packets / 4)) ROUNDS="$rounds" COUNT_PACKETS=0
}

mkdir -p "$out"
out=$(cd "$out" && pwd)
rm -rf "$out"/{icount,plain}-{off,strict} "$out"/run.{json,txt,png,svg}
printf '%s\n' "$append" >"$out/append"

step xdp-programs 5 "XDP programs" in_root make -C "$RPP_TOP/samples/xdp" CLANG=clang-19
failed="the measurement broke down: see the log above and $out/icount-*/console.log" \
	step measure-icount 90 "instructions per packet, IOMMU off and strict at once" count_instructions
[[ $plain ]] && failed="the measurement broke down: see the log above and $out/plain-*/console.log" \
	step measure-plain 90 "packets per second, IOMMU off and strict" packet_rates

# report.py runs in the build root, which sees the checkout and the cache only.
work=$(mktemp -d "$RPP_CACHE/report.XXXXXX")
trap 'rm -rf "$work"' EXIT
cp -r "$out"/append "$out"/{icount,plain}-* "$work/" 2>/dev/null || true
status=0
in_root python3 "$RPP_TOP/scripts/report.py" "$work" || status=$?
[[ -s $work/run.json ]] && in_root python3 "$RPP_TOP/scripts/plot.py" "$work"
cp "$work"/run.* "$out/"
say "  in $out: run.json run.txt run.png run.svg"
exit "$status"
