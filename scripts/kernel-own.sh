# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034 # variables of kernel.sh's
#
# A small kernel of our own. Sourced by kernel.sh.

build_own() {
	mkdir -p "$K_DIR"
	smake tinyconfig
	enter "$K_SOURCE/scripts/kconfig/merge_config.sh" -m -O "$K_DIR" "$K_DIR/.config" "$RPP_TOP/.config.fragment"
	smake olddefconfig
	smake rustavailable
	fragment_kept
	smake bzImage modules
	smake INSTALL_MOD_PATH="$1/modules" modules_install
}

# An option that olddefconfig dropped has a dependency that the fragment lacks.
fragment_kept() {
	local line lost=0
	while read -r line; do
		grep -qxF "$line" "$K_DIR/.config" || { echo "not taken from .config.fragment: $line"; lost=1; }
	done < <(grep -E '^(CONFIG_|# CONFIG_.* is not set)' "$RPP_TOP/.config.fragment" | grep -v '=n$')
	return "$lost"
}

own_kernel() {
	local dir version

	if [[ $KSRC ]]; then
		[[ -e $KSRC/Kbuild && -d $KSRC/rust/kernel ]] || die "KSRC=$KSRC is not a kernel source tree"
		K_SOURCE=$(realpath "$KSRC")
		version=$(make -s -C "$K_SOURCE" kernelversion)
	else
		"$RPP_TOP/scripts/setup.sh"
		kernel_of stock
		# shellcheck disable=SC1091
		. "$RPP_CACHE/stock/kernel.env"
		version=$K_VERSION
	fi
	check_version "$version"
	need_space 4000
	K_NAME=own K_VERSION=$version K_MAKE=(ARCH=x86 LLVM="${LLVM:--19}")
	if [[ $KSRC || ${RUSTC-}${BINDGEN-}$LLVM ]]; then
		[[ $LLVM == */ || ${LLVM:--} != -* ]] || command -v "clang${LLVM:--19}" >/dev/null ||
			die "there is no clang${LLVM:--19}: install clang-19, lld-19 and llvm-19, or pass LLVM="
		native_make "$K_SOURCE"
		dir=$RPP_CACHE/own-$(key "$K_SOURCE" "$version" "$(<"$RPP_TOP/.config.fragment")" "${K_MAKE[@]}")
	else
		K_ENTER=root
		dir=$RPP_CACHE/own-$(key "$version" "$(<"$RPP_TOP/.config.fragment")" "$(<"$RPP_ROOT/compilers")")
	fi
	K_DIR=$dir/build K_IMAGE=$dir/build/arch/x86/boot/bzImage
	mkdir -p "$dir"
	# Half an hour: let others use the rest of the cache meanwhile.
	unlock_cache
	exec 9>"$dir/.lock"
	flock 9
	failed="the small kernel cannot be built: see the log above" \
		step own-kernel 1800 "building a small kernel from $version" build_own "$dir"
	K_RELEASE=$(<"$K_DIR/include/config/kernel.release")
	K_MODULES=$dir/modules/lib/modules/$K_RELEASE
	cp "$RPP_TOP/.config.fragment" "$dir/fragment"
	save_env "$dir"
	ln -sfn "$dir" "$RPP_CACHE/own"
}
