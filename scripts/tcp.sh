#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What "make tcp" does after the modules are built: TCP over an 82576, with igb_rust and with C igb, both directions,
# MTUs of 1,500 and 9,000, one flow and four, IOMMU off and strict. Instructions a megabyte, of both ends and the
# programs: a table, a plot and JSON in results/tcp.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

out=$RPP_TOP/results/tcp
mb=${MB:-256}

# boot IOMMU
boot() {
	local iommu=()
	[[ $1 == strict ]] && iommu=(--iommu)
	"$RPP_TOP/scripts/vm.sh" --quiet --out "$out/$1" --nic igb --nic e1000e --icount "${iommu[@]}" \
		--append 'init_on_alloc=0 mitigations=off' --timeout 1800 --run "MB=$mb bash samples/tcp/tcp.sh"
}

rm -rf "$out"
mkdir -p "$out"
failed="the measurement broke down: see $out/*/console.log" \
	step tcp 420 "VMs, IOMMU off and strict: $mb MB of TCP in each of 16 runs" both boot off strict
in_root python3 "$RPP_TOP/scripts/tcp.py" "$out"
say "  in $out: tcp.json tcp.txt tcp.png tcp.svg"
