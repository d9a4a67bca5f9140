#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What "make zero-copy" does after the modules are built: upstream's tcp_mmap receives over an 82576 under igb_rust,
# mapped and by recv(), with our pool and with the kernel's page_pool under the same driver, IOMMU off and strict.
# Instructions a megabyte, of the receiving side alone: a table, a plot and JSON in results/zero-copy. With --document the
# plot goes into Documentation/ as well.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

out=$RPP_TOP/results/zero-copy
mb=${MB:-256}

# run IOMMU BUFFERS WAY [LABEL ARGUMENTS]: a boot for each run, so that none finds what another has left.
run() {
	local iommu=()
	[[ $1 == strict ]] && iommu=(--iommu)
	"$RPP_TOP/scripts/vm.sh" --quiet --out "$out/$1-$2-$3${4:+-$4}" --nic igb --nic e1000e --icount "${iommu[@]}" \
		--append "init_on_alloc=0 mitigations=off ${5-}" --add "$out/tcp_mmap" --timeout 600 \
		--run "MB=$mb BUFFERS=$2 WAY=$3 LABEL=${4-} bash samples/zero_copy/measure.sh"
}

runs() {
	run "$1" rust mmap
	run "$1" rust recv
	run "$1" kernel mmap
	run "$1" kernel recv
	# Where a copy is not "rep movsb", of which each byte is an instruction here.
	run "$1" rust recv words clearcpuid=erms,fsrm
}

rm -rf "$out"
mkdir -p "$out"
load_kernel "$("$RPP_TOP/scripts/kernel.sh" env)"
failed="cannot build upstream's tcp_mmap" step tcp-mmap 5 "tcp_mmap" build_tcp_mmap "$out"
failed="the measurement broke down: see $out/*/console.log" \
	step zero-copy 150 "VMs, IOMMU off and strict: $mb MB of TCP in each of 10" both runs off strict
in_root python3 "$RPP_TOP/scripts/zero-copy.py" "$out" && status=0 || status=$?
say "  in $out: zero-copy.json zero-copy.txt zero-copy.png zero-copy.svg"
[[ ${1-} != --document ]] || cp "$out/zero-copy.svg" "$RPP_TOP/Documentation/networking/rust_zero_copy.svg"
exit "$status"
