# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034 # variables of kernel.sh's
#
# Small kernels of our own, from Debian's source or KSRC=. Sourced by kernel.sh.
#
#   own      as in Debian's kernel, the hook is ftrace's
#   debug    the same with what finds bugs: KASAN, lockdep, DMA_API_DEBUG...
#   kcsan    the same with the detector of data races, which excludes KASAN
#   patched  the same with patches/, which have a hook for page pools
#   uml      with patches/, for User-Mode Linux, which has no dynamic ftrace

# own_inputs NAME: what of this checkout makes that kernel: options and patches.
own_inputs() {
	case $1 in
	own) printf '%s\n' "$RPP_TOP/.config.fragment" ;;
	debug | kcsan) printf '%s\n' "$RPP_TOP/.config.fragment" "$RPP_TOP/.config.$1" ;;
	patched) printf '%s\n' "$RPP_TOP/.config.fragment" "$RPP_TOP"/patches/* ;;
	uml) printf '%s\n' "$RPP_TOP/.config.uml" "$RPP_TOP"/patches/* ;;
	esac
}

# is_patched NAME
is_patched() { [[ $1 == patched || $1 == uml ]]; }

# own_make NAME: how make is called for it.
own_make() {
	K_MAKE=(ARCH=x86 LLVM="${LLVM:--19}")
	[[ $1 == uml ]] || return 0
	# llvm-objcopy 19 fails on the static link. UML's own code model makes every call an indirect
	# one, which no other kernel has to predict. Below 2 GB the small one reaches everything: see
	# vm.sh, which gives UML so much memory that its modules are still there.
	K_MAKE=(ARCH=um SUBARCH=x86 LLVM="${LLVM:--19}" OBJCOPY=objcopy
		KCFLAGS=-mcmodel=small RUSTFLAGS_MODULE="-Crelocation-model=static")
}

# patch_source FROM TO: hard links, but for the files that a patch changes.
patch_source() {
	local p
	rm -rf "$2.part"
	cp -al "$1" "$2.part"
	for p in "$RPP_TOP"/patches/*.patch; do
		patch -d "$2.part" -p1 --no-backup-if-mismatch <"$p"
	done
	mv "$2.part" "$2"
}

# build_own DIR CONFIG...: the options of the later files win.
build_own() {
	local dir=$1 targets=(bzImage modules)
	shift
	[[ $K_NAME == uml ]] && targets=(linux modules)
	mkdir -p "$K_DIR"
	smake tinyconfig
	enter "$K_SOURCE/scripts/kconfig/merge_config.sh" -m -O "$K_DIR" "$K_DIR/.config" "$@"
	smake olddefconfig
	smake rustavailable
	config_kept "$@"
	smake "${targets[@]}"
	smake INSTALL_MOD_PATH="$dir/modules" modules_install
}

# An option that olddefconfig dropped has a dependency that its file lacks.
config_kept() {
	local line lost=0
	while read -r line; do
		grep -qxF "$line" "$K_DIR/.config" || { echo "not taken from ${*##*/}: $line"; lost=1; }
	done < <(grep -hE '^(CONFIG_|# CONFIG_.* is not set)' "$@" | grep -v '=n$')
	return "$lost"
}

# own_kernel NAME
own_kernel() {
	local dir version inputs configs flags

	inputs=$(own_inputs "$1" | xargs cat)
	mapfile -t configs < <(own_inputs "$1" | grep -v '\.patch$')
	if [[ $KSRC ]]; then
		[[ -e $KSRC/Kbuild && -d $KSRC/rust/kernel ]] || die "KSRC=$KSRC is not a kernel source tree"
		K_SOURCE=$(realpath "$KSRC")
		! is_patched "$1" || grep -q PAGE_FREE_HOOK "$K_SOURCE/mm/Kconfig" ||
			die "KERNEL=$1 needs a patched source tree: apply patches/*.patch in $KSRC"
		version=$(make -s -C "$K_SOURCE" kernelversion)
	else
		"$RPP_TOP/scripts/setup.sh"
		kernel_of stock
		load_kernel "$RPP_CACHE/stock/kernel.env"
		version=$K_VERSION
		if is_patched "$1"; then
			K_SOURCE+=-patched-$(key "$(cat "$RPP_TOP"/patches/*.patch)")
			[[ -d $K_SOURCE ]] || failed="patches/ do not apply to $version: see the log above" \
				step patch-source 5 "patching the kernel source" patch_source "${K_SOURCE%-patched-*}" "$K_SOURCE"
		fi
	fi
	check_version "$version"
	need_space 4000
	K_NAME=$1 K_VERSION=$version K_ROOT=''
	own_make "$1"
	flags=("${K_MAKE[@]:2}") # behind architecture and compilers
	if [[ $KSRC || ${RUSTC-}${BINDGEN-}$LLVM ]]; then
		[[ $LLVM == */ || ${LLVM:--} != -* ]] || command -v "clang${LLVM:--19}" >/dev/null ||
			die "there is no clang${LLVM:--19}: install clang-19, lld-19 and llvm-19, or pass LLVM="
		native_make "$K_SOURCE"
		dir=$RPP_CACHE/$1-$(key "$K_SOURCE" "$version" "$inputs" "${K_MAKE[@]}")
	else
		K_ENTER=root
		dir=$RPP_CACHE/$1-$(key "$version" "$inputs" "$(<"$RPP_ROOT/compilers")" "${flags[@]}")
	fi
	K_DIR=$dir/build K_IMAGE=$dir/build/arch/x86/boot/bzImage
	[[ $1 == uml ]] && K_IMAGE=$dir/build/linux
	mkdir -p "$dir"
	# Half an hour: let others use the rest of the cache meanwhile.
	unlock_cache
	exec 9>"$dir/.lock"
	flock 9
	failed="the kernel cannot be built: see the log above" \
		step "$1-kernel" 1800 "building a small kernel ($1) from $version" build_own "$dir" "${configs[@]}"
	K_RELEASE=$(<"$K_DIR/include/config/kernel.release")
	K_MODULES=$dir/modules/lib/modules/$K_RELEASE
	printf '%s\n' "$inputs" >"$dir/inputs"
	save_env "$dir"
	ln -sfn "$dir" "$RPP_CACHE/$1"
}

# A small kernel takes up to half an hour, so it is never built by the way.
own_selected() {
	local make="make kernel${KSRC:+ KSRC=$KSRC}"
	[[ $1 == own ]] || make+=" KERNEL=$1"
	[[ -e $RPP_CACHE/$1/kernel.env ]] || die "there is no kernel '$1' yet: run '$make', up to half an hour"
	load_kernel "$RPP_CACHE/$1/kernel.env"
	[[ -z $KSRC || $K_SOURCE == "$(realpath "$KSRC")" ]] ||
		die "the kernel '$1' is from $K_SOURCE: run '$make'"
	[[ $(<"$RPP_CACHE/$1/inputs") == "$(own_inputs "$1" | xargs cat)" ]] ||
		warn "the kernel '$1' is not of today's options and patches: '$make' builds that one"
}
