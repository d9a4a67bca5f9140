#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Formatting, circles of imports, clippy as Kbuild runs it, checkpatch, shellcheck. Goes through all of
# them and fails if one did. The tools are those of the build root.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

failed=0
check() {
	local name=$1
	shift
	if "$@"; then say "$name: ok"; else say "$name: FAILED"; failed=1; fi
}

load_kernel "$("$RPP_TOP/scripts/kernel.sh" env)"
cd "$RPP_TOP"
mapfile -t rust < <(find rust drivers tests samples -name '*.rs' -not -path '*/target/*' \
	-not -name bindings_generated.rs 2>/dev/null)
mapfile -t c < <(find rust drivers tests samples -name '*.[chS]' -not -name '*.mod.c' -not -name exports.c \
	-not -path '*/target/*' 2>/dev/null)
mapfile -t shell < <(grep -rlE '^#!/bin/(ba)?sh' scripts tests samples .ci 2>/dev/null)

clippy() {
	local log=$RPP_LOG/clippy.log
	if ! "$RPP_TOP/scripts/kernel.sh" clippy >"$log" 2>&1; then
		tail -n 30 "$log"
		return 1
	fi
	! grep -A8 -E '^(warning|error)' "$log"
}

# CAMELCASE is about names of the kernel's own that it does not know. Without a git directory it
# does not try to run the kernel's spdxcheck.py, which needs the kernel's own tree.
checkpatch() {
	in_root env GIT_DIR=/nonexistent perl "$K_SOURCE/scripts/checkpatch.pl" --root "$K_SOURCE" --terse --no-summary --quiet --strict \
		--ignore CAMELCASE,FILE_PATH_CHANGES "$@"
}

check rustfmt in_root rustfmt --check --edition 2021 --config-path "$K_SOURCE/.rustfmt.toml" "${rust[@]}"
check imports in_root python3 scripts/imports.py rust/page_pool rust/net
check clippy clippy
check checkpatch checkpatch -f "${c[@]}"
check patches checkpatch patches/*.patch
check shellcheck in_root shellcheck -x "${shell[@]}" scripts/lib.sh scripts/kernel-*.sh
exit "$failed"
