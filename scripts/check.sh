#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Formatting, clippy as Kbuild runs it, checkpatch, shellcheck. Goes through all of
# them and fails if one did. The tools are those of the build root.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

failed=0
check() {
	local name=$1
	shift
	if "$@"; then say "$name: ok"; else say "$name: FAILED"; failed=1; fi
}

env=$("$RPP_TOP/scripts/kernel.sh" env)
# shellcheck disable=SC1090
. "$env"
cd "$RPP_TOP"
mapfile -t rust < <(find rust drivers tests samples -name '*.rs' -not -path '*/target/*' \
	-not -name bindings_generated.rs 2>/dev/null)
mapfile -t c < <(find rust drivers tests samples -name '*.[chS]' -not -name '*.mod.c' -not -name exports.c \
	-not -path '*/target/*' 2>/dev/null)
mapfile -t shell < <(grep -rlE '^#!/bin/(ba)?sh' scripts tests samples .ci 2>/dev/null)

clippy() { "$RPP_TOP/scripts/kernel.sh" clippy >"$RPP_LOG/clippy.out" 2>&1 && ! grep -B2 -A8 '^\(warning\|error\)' "$RPP_LOG/clippy.out"; }

# checkpatch wants a patch's context for some of its rules; these do not apply to whole files.
checkpatch() {
	in_root perl "$K_SOURCE/scripts/checkpatch.pl" --no-tree --terse --no-summary --quiet --strict -f \
		--ignore LINUX_VERSION_CODE,FILE_PATH_CHANGES "${c[@]}"
}

check rustfmt in_root rustfmt --check --edition 2021 --config-path "$K_SOURCE/.rustfmt.toml" "${rust[@]}"
check clippy clippy
check checkpatch checkpatch
check shellcheck in_root shellcheck -x "${shell[@]}" scripts/lib.sh
exit "$failed"
