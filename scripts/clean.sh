#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# clean.sh: what was built from this checkout; clean.sh all: the cache as well.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

[[ -d $RPP_CACHE ]] || exit 0
lock_cache
rm -rf "$RPP_CACHE"/*/"out-$(key "$RPP_TOP")"{,-clippy} "$RPP_CACHE/vm" "$RPP_TOP/results"
# What "make" leaves for insmod, and a plain "make -C $KDIR M=$PWD" beside it.
(cd "$RPP_TOP" && find . -path ./.git -prune -o \( -name '*.ko' -o -name '*.o' -o -name '*.mod' -o -name '*.mod.c' \
	-o -name '.*.cmd' -o -name '*.rmeta' -o -name '.*.d' \) -type f -exec rm -f {} +
	rm -f rust-page-pool-dkms_*.deb modules.order Module.symvers rust/*/exports.c {rust/bindings,samples/bench}/bindings_generated.rs)
[[ ${1-} == all ]] || exit 0

# Only what the scripts made: the user may have chosen a directory with more in it.
cd "$RPP_CACHE"
rm -rf --one-file-system apt dl log vm test test-* cargo host-target report.* root-* src-* stock stock-* stock@* own own-* debug debug-* kcsan kcsan-* patched patched-* uml uml-* running running-* kdir-*
rm -f .lock
rmdir "$RPP_CACHE" 2>/dev/null || ls -d "$RPP_CACHE"/*
