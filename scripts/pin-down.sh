#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What "make pin-down" does after the modules are built: one flow into a socket that
# never reads, among another that behaves, with our pool, the kernel's page_pool and
# page fragments; how much memory the first one pins, and what the other one gets.
# Everything arrives in results/pin-down. "--help" tells the options.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

usage() {
	cat <<-END
	usage: scripts/pin-down.sh [options]
	  --packets N     that the socket hoards (default 3000)
	  --sizes LIST    frame sizes without checksum (default 600)
	  --rounds N      for each driver and size (default 2)
	  --receivers LIST  some of (default) "e1000_rust virtio_net e1000 igb_rust igb_rust_own"
	  --document      puts the plot into Documentation/
	  --out DIR       in the checkout or the cache; default results/pin-down
	END
}

packets=3000 sizes=600 rounds=2 document='' out=$RPP_TOP/results/pin-down
receivers='e1000_rust virtio_net e1000 igb_rust igb_rust_own'
while (($#)); do
	case $1 in
	--document) document=1 ;;
	--help | -h) usage; exit 0 ;;
	--packets | --sizes | --rounds | --receivers | --out)
		(($# > 1)) || die "$1 needs a value; see scripts/pin-down.sh --help"
		printf -v "${1#--}" %s "$2"
		shift ;;
	*) die "unknown option $1; see scripts/pin-down.sh --help" ;;
	esac
	shift
done

rm -rf "$out"
mkdir -p "$out"
out=$(cd "$out" && pwd)

# Fragments pin 27 kB for each packet; with more than 20000 packets the VM runs out of memory.
failed="the measurement broke down: see the log above and $out/vm/console.log" \
	step pin-down 600 "pin-down attack: $rounds rounds, frames of $sizes bytes, $receivers" \
	"$RPP_TOP/scripts/vm.sh" --out "$out/vm" --nic e1000 --nic e1000e --nic virtio-net-pci --nic igb --icount --smp 2 \
	--append 'init_on_alloc=0 mitigations=off' --timeout 2400 \
	--run "PACKETS=$packets SIZES='$sizes' ROUNDS=$rounds RECEIVERS='$receivers' taskset -c 0 bash tests/pin-down.sh"

# A failed check is the exit code, but what was measured is plotted all the same.
status=0
in_root env RPP_SLOW="${RPP_SLOW:-1}" python3 "$RPP_TOP/scripts/pin-down.py" "$out" || status=$?
say "  in $out: pin-down.json pin-down.txt pin-down.png pin-down.svg"
if [[ $document ]]; then
	cp "$out/pin-down.svg" "$RPP_TOP/Documentation/networking/rust_page_pool_pin_down.svg"
fi
exit "$status"
