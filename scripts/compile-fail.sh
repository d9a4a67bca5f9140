#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Compiles each file of tests/compile_fail as Kbuild compiles the driver, and
# expects the error that the file's second line names:
#
#   // error: CODE text     the compiler reports CODE, and the text is in the message
#   // error: text          an error that has no code
#   // compiles             no error: the control
#
# The examples in the documentation of rust/net and rust/page_pool have to compile as well. (Those of
# rust/page_pool/core run on the host.) One KTAP line a file, or an example.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

load_kernel "${RPP_KERNEL_ENV:-$("$RPP_TOP/scripts/kernel.sh" env)}"

# The crates that the driver is compiled against are where Kbuild put them.
driver=drivers/net/ethernet/intel/e1000_rust/e1000_main
command=$(sed -n "1s,^savedcmd_[^ ]* := ,,p" "$K_OUT/${driver%/*}/.${driver##*/}.o.cmd") ||
	die "the driver is not built: run 'make modules' first"

# compile FILE: as the driver, but only checked and not stored.
compile() {
	local c=$command
	c=$(sed "s, --emit=\(obj\|dep-info\)=[^ ]*,,g; s, --out-dir [^ ]*,,; s, [^ ]*/$driver.rs.*,," <<<"$c")
	# A driver cannot name the pool's crate; these can.
	c="cd $K_OUT && export RUSTC_BOOTSTRAP=1 && $c --extern page_pool=rust/page_pool/libpage_pool.rmeta \
		--crate-name case --emit=metadata=$tmp/case.rmeta $1"
	enter sh -c "$c"
}

# judge FILE: whether it gives what it says, and nothing else.
judge() {
	local expect status=0 code='' text
	expect=$(sed -n 's,^// \(compiles$\|error: .*\),\1,p;2q' "$1")
	compile "$1" >"$tmp/messages" 2>&1 || status=$?
	if [[ $expect == compiles ]]; then
		((status == 0)) || echo "it does not compile"
		return "$status"
	fi
	text=${expect#error: }
	[[ $text =~ ^(E[0-9]+)\ (.*)$ ]] && code=${BASH_REMATCH[1]} text=${BASH_REMATCH[2]}
	[[ $text ]] || { echo "its second line names no error"; return 1; }
	((status)) || { echo "it compiles, but should give: $expect"; return 1; }
	grep '^error' "$tmp/messages" | grep -v '^error: aborting due to ' >"$tmp/errors" || { echo "no error"; return 1; }
	if grep -vqF -- "error${code:+[$code]}: " "$tmp/errors" || grep -vqF -- "$text" "$tmp/errors"; then
		echo "other errors than: $expect"
		return 1
	fi
}

# What module! makes, for an example that is none.
MODULE='const __LOG_PREFIX: &[u8] = b"example\\0";
struct LocalModule;
impl kernel::ModuleMetadata for LocalModule {
	const NAME: &kernel::prelude::CStr = c"example";
	// SAFETY: Only compiled.
	const THIS_MODULE: kernel::ThisModule = unsafe { kernel::ThisModule::from_ptr(core::ptr::null_mut()) };
}
'

# examples: makes a file of each in $tmp/examples, named after where it begins. As rustdoc does, it hides "# ",
# and puts what has no main() into a function. Blocks of another language ("text") are not for it.
examples() {
	mkdir "$tmp/examples"
	# shellcheck disable=SC2016 # awk's variables, and three backticks
	find rust/net rust/page_pool -name '*.rs' -not -path '*/core/*' -print0 |
		xargs -0 awk -v dir="$tmp/examples" -v module="$MODULE" '
		!sub(/^ *\/\/[\/!] ?/, "") { next }
		/^```/ && !block { block = $0; where = FILENAME ":" FNR; text = ""; next }
		/^```/ {
			if (block == "```") {
				file = where
				gsub("/", ".", file)
				if (text !~ /fn main\(/) text = module "fn example() {\n" text "}\n"
				print "// " where "\n// compiles\n//! Example.\n#![allow(unused)]\n" text >(dir "/" file ".rs")
			}
			block = ""
		}
		block { sub(/^#( |$)/, ""); text = text $0 "\n" }'
}

# In the cache, because the build root sees nothing else of the host.
tmp=$(mktemp -d "$RPP_CACHE/compile-fail.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
cd "$RPP_TOP"
examples
files=("$RPP_TOP"/tests/compile_fail/*.rs "$tmp"/examples/*.rs)
echo "KTAP version 1"
echo "1..${#files[@]}"
n=0 failed=0
for f in "${files[@]}"; do
	n=$((n + 1))
	name=$(basename "$f" .rs)
	if why=$(judge "$f"); then
		echo "ok $n - $name: $(sed -n '2s,^// ,,p' "$f")"
	else
		failed=1
		echo "not ok $n - $name: $why"
		sed 's/^/# /' "$tmp/messages"
	fi
done
exit "$failed"
