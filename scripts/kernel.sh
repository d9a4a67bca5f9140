#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Kernels to build the modules against. Each is a directory in the cache with
# kernel.env, written last, which tells the other scripts all about it.
#
#   stock    Debian's 7.3 kernel as it is; only its Rust metadata are built
#   stock@VERSION  the one of that package version, from any suite
#   own      a small kernel from the same source and .config.fragment
#   debug    own, with .config.debug: what finds bugs
#   kcsan    own, with .config.kcsan: what finds data races
#   patched  own, with patches/
#   uml      a User-Mode Linux kernel, with patches/
#   running  the kernel that runs here, for "make && sudo insmod"
#   KDIR=    a build directory of the user's; KSRC=: a source tree of the user's

set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$RPP_TOP/scripts/kernel-debian.sh"
. "$RPP_TOP/scripts/kernel-own.sh"

KDIR=${KDIR-} KSRC=${KSRC-} KERNEL=${KERNEL-} LLVM=${LLVM-}
RUNNING=${RUNNING:-$(uname -r)}
JOBS=$(nproc)

# kmake: in the build directory, for modules. smake: the kernel itself, from its source.
kmake() { enter make -C "$K_DIR" -j"$JOBS" "${K_MAKE[@]}" ${V:+V="$V"} "$@"; }
smake() { enter make -C "$K_SOURCE" O="$K_DIR" -j"$JOBS" "${K_MAKE[@]}" ${V:+V="$V"} "$@"; }

save_env() {
	declare -p K_NAME K_VERSION K_RELEASE K_DIR K_SOURCE K_IMAGE K_MODULES K_ENTER K_ROOT K_MAKE |
		sed 's/^declare -[-a]* //' >"$1/kernel.env.part"
	mv "$1/kernel.env.part" "$1/kernel.env"
}

# option NAME CONFIG-FILE: the value of CONFIG_NAME.
option() { sed -n "s/^CONFIG_$1=\"\?\([^\"]*\)\"\?$/\1/p" "$2"; }

check_config() {
	local config=$1/.config
	[[ -s $config ]] || die "$1 has no .config: configure and build that kernel first, or leave KDIR and KSRC out"
	[[ $(option RUST "$config") == y ]] ||
		die "the kernel in $1 has no CONFIG_RUST: build it with CONFIG_RUST=y, or leave KDIR and KSRC out"
	[[ -z $(option MODVERSIONS "$config") ]] ||
		die "the kernel in $1 has CONFIG_MODVERSIONS, for which Rust modules get no checksums: switch that off and build it again"
}

check_version() {
	[[ $1 == "$SUPPORTED" || $1 == "$SUPPORTED"[.~+-]* ]] ||
		die "Linux $1 is not supported, only $SUPPORTED (Documentation/networking/rust_net_kernels.rst says what" \
			"differs): ${2:-use a $SUPPORTED kernel, or leave KDIR and KSRC out}"
}

# --- The machine's own toolchain -------------------------------------------

# find_rustc SOURCE [VERSION-TEXT]: one that is new enough and has the library
# source, which a rustup toolchain often lacks, wherever it is in PATH; or the very
# one that a prepared tree was made with, because metadata fit no other.
find_rustc() {
	local min want=${2-} rustc text list
	min=$("$1/scripts/min-tool-version.sh" rustc)
	mapfile -t list < <(if [[ ${RUSTC-} ]]; then echo "$RUSTC"; else
		{ type -ap rustc; ls -d /usr/bin/rustc*; } 2>/dev/null | awk '!seen[$0]++'; fi)
	for rustc in "${list[@]}"; do
		text=$("$rustc" --version 2>/dev/null) || continue
		[[ -z $want || $text == "$want" ]] || continue
		[[ $(printf '%s\n' "$min" "$(awk '{ print $2 }' <<<"$text")" | sort -V | head -n 1) == "$min" ]] || continue
		[[ $want || -e $("$rustc" --print sysroot)/lib/rustlib/src/rust/library/core/src/lib.rs ]] || continue
		command -v "$rustc"
		return
	done
	[[ -z $want ]] || die "no rustc here is the one that this kernel was built with ($want; looked at:" \
		"${list[*]:-none}): pass RUSTC=/path/to/it, or prepare the kernel again"
	die "no rustc >= $min with its library source (looked at: ${list[*]:-none}): install rustc and rust-src" \
		"(Debian 12: rustc-web and rust-web-src), or pass RUSTC=/path/to/rustc"
}

# native_make SOURCE [VERSION-TEXT]: K_MAKE's part for compilers outside the build root.
native_make() {
	local rustc dir
	K_ENTER=native
	rustc=$(find_rustc "$@")
	dir=$(dirname "$rustc")
	K_MAKE+=(RUSTC="$rustc" HOSTRUSTC="$rustc")
	[[ -x $dir/rustdoc ]] && K_MAKE+=(RUSTDOC="$dir/rustdoc")
	[[ -x $dir/rustfmt ]] && K_MAKE+=(RUSTFMT="$dir/rustfmt")
	[[ -x $dir/clippy-driver ]] && K_MAKE+=(CLIPPY_DRIVER="$dir/clippy-driver")
	[[ ${BINDGEN-} ]] && K_MAKE+=(BINDGEN="$BINDGEN")
	return 0
}

# compiler_make CONFIG: K_MAKE's part for the C compiler, the one of that .config.
compiler_make() {
	local major cc
	if [[ $LLVM ]]; then
		K_MAKE+=(LLVM="$LLVM")
	elif [[ $(option CC_IS_CLANG "$1") ]]; then
		major=$(($(option CLANG_VERSION "$1") / 10000))
		if command -v "clang-$major" >/dev/null; then
			K_MAKE+=(LLVM="-$major")
		else
			K_MAKE+=(LLVM=1)
		fi
	else
		cc=$(option CC_VERSION_TEXT "$1")
		command -v "${cc%% *}" >/dev/null && K_MAKE+=(CC="${cc%% *}")
	fi
	return 0
}

# --- A user's kernel -------------------------------------------------------

user_kernel() {
	local dir

	[[ -d $KDIR ]] || die "KDIR=$KDIR is not a directory"
	KDIR=$(cd "$KDIR" && pwd -P)
	dir=$RPP_CACHE/kdir-$(key "$KDIR")
	check_config "$KDIR"
	[[ -s $KDIR/include/config/kernel.release ]] ||
		die "$KDIR is not prepared: run 'make modules_prepare' there, with the compilers of its kernel"
	K_NAME=kdir K_VERSION='' K_ROOT='' K_DIR=$KDIR K_IMAGE=$KDIR/arch/x86/boot/bzImage
	K_RELEASE=$(<"$KDIR/include/config/kernel.release")
	check_version "$K_RELEASE"
	[[ -e $KDIR/rust/libkernel.rmeta && -s $KDIR/Module.symvers ]] ||
		die "$KDIR has no Rust metadata (rust/libkernel.rmeta) or no Module.symvers: build that kernel with" \
			"CONFIG_RUST=y; for a kernel of Debian's, leave KDIR out and they are made"
	K_SOURCE=$KDIR
	[[ -e $KDIR/source ]] && K_SOURCE=$(cd "$KDIR/source" && pwd -P)
	K_MAKE=(ARCH=x86 KERNELRELEASE="$K_RELEASE")
	compiler_make "$KDIR/.config"
	native_make "$K_SOURCE" "$(option RUSTC_VERSION_TEXT "$KDIR/.config")"
	[[ $K_RELEASE == "$RUNNING" ]] ||
		say "note: KDIR is for $K_RELEASE, but $RUNNING runs here: insmod would refuse these modules; boot that" \
			"kernel first, or use 'make run KDIR=$KDIR'"
	K_MODULES=$dir/modules/lib/modules/$K_RELEASE
	mkdir -p "$dir"
	save_env "$dir"
	RPP_ENV=$dir/kernel.env
}

# user_image: the modules of a user's kernel for the VM.
user_image() {
	[[ -s $K_IMAGE ]] || die "there is no $K_IMAGE: run 'make bzImage modules' in $KDIR to boot that kernel"
	[[ -d $K_MODULES ]] ||
		step kdir-modules 20 "copying the modules of $KDIR" kmake \
			INSTALL_MOD_PATH="${K_MODULES%/lib/modules/*}" modules_install
}

# --- Commands --------------------------------------------------------------

# kernel_of NAME: made if missing; a complete one needs neither network nor time.
kernel_of() {
	local version=''
	[[ -z ${RUSTC-}${BINDGEN-} ]] || on_debian_13 ||
		die "RUSTC= and BINDGEN= are for KERNEL=own, KDIR= and KSRC= here: Debian's kernel takes" \
			"only modules of the compilers that it was built with, which Debian 13 has"
	if [[ $1 == running ]]; then
		check_version "$RUNNING" "boot such a kernel (README: Debian 13 has one in its backports), or use 'make run', which needs none"
		version=$(running_version)
		[[ $version ]] || die "$RUNNING is not a kernel of Debian's: pass KDIR=<its build directory>"
		have_debian running && [[ $(readlink "$RPP_CACHE/running") == */running-"$RUNNING"-* ]] && return
		debian_kernel running "$version" "$RUNNING"
	else
		[[ $1 == stock ]] || check_version "${1#stock@}" "pass the package version of one"
		have_debian "$1" || debian_kernel "$1"
	fi
}

# select_kernel DEFAULT: leaves its description's name in RPP_ENV, and reads it.
select_kernel() {
	local name=${KERNEL:-$1}
	lock_cache
	[[ $KDIR && $KSRC ]] && die "KDIR and KSRC exclude each other"
	[[ $KSRC && -e $KSRC/rust/libkernel.rmeta ]] && KDIR=$KSRC
	if [[ $KDIR ]]; then
		user_kernel
	else
		[[ $KSRC && $name == @(stock*|running) ]] && name=own
		case $name in
		stock | stock@* | running) kernel_of "$name" ;;
		own | debug | kcsan | patched | uml) own_selected "$name" ;;
		*) die "KERNEL=$name: there are stock, stock@VERSION, running, own, debug, kcsan, patched and uml" ;;
		esac
		RPP_ENV=$(readlink -f "$RPP_CACHE/$name")/kernel.env
	fi
	load_kernel "$RPP_ENV"
}

# The modules go to K_OUT; a copy for insmod is left in the checkout only when
# the running kernel takes it.
build_modules() {
	local log=$RPP_LOG/modules.log
	mkdir -p "$K_OUT" "$RPP_LOG"
	if [[ -e $RPP_TOP/modules.order ]]; then
		say "  removing what an earlier build left in the checkout"
		kmake M="$RPP_TOP" clean >"$log" 2>&1 || die "cannot clean the checkout: see $log"
	fi
	kmake M="$RPP_TOP" MO="$K_OUT" "$@" 2>&1 | sed '/: \(Entering\|Leaving\) directory/d' | tee "$log" ||
		die "the modules do not build for $K_RELEASE; full log: $log"
}

# default_kernel: what plain "make" builds for, the running kernel if it takes the modules.
default_kernel() {
	if [[ $KERNEL$KDIR$KSRC ]]; then
		:
	elif [[ $RUNNING == "$SUPPORTED".* && -e /lib/modules/$RUNNING/build/rust/libkernel.rmeta ]]; then
		KDIR=/lib/modules/$RUNNING/build
	elif [[ $RUNNING == "$SUPPORTED".* && $(running_version) ]]; then
		KERNEL=running
	fi
}

case ${1-} in
env)
	"$RPP_TOP/scripts/setup.sh"
	select_kernel stock >&2
	[[ $K_NAME != kdir ]] || user_image >&2
	[[ $K_NAME != running || -s $K_IMAGE ]] || debian_image >&2
	echo "$RPP_ENV"
	;;
prepare) select_kernel stock ;;
own)
	[[ ${KERNEL:=own} == @(own|debug|kcsan|patched|uml) ]] || die "KERNEL=$KERNEL: only own, debug, kcsan, patched and uml are built from source"
	lock_cache
	own_kernel "$KERNEL"
	;;
modules)
	[[ ${2-} != auto ]] || default_kernel
	[[ ${2-} != auto || $KERNEL$KDIR$KSRC ]] ||
		say "note: the running kernel $RUNNING cannot take these modules (that needs Debian's $SUPPORTED kernel, or KDIR=);" \
			"building them for the VM: 'make run' tries them there"
	select_kernel stock
	build_modules modules
	if [[ $K_RELEASE == "$RUNNING" ]]; then
		cp "$K_OUT"/*.ko "$RPP_TOP/"
		say "modules for the running kernel $K_RELEASE: sudo insmod ./rust_page_pool.ko, rust_net.ko, e1000_rust.ko"
	else
		say "modules for $K_RELEASE: $K_OUT"
	fi
	;;
install)
	default_kernel
	[[ $KERNEL$KDIR$KSRC ]] || check_version "$RUNNING" "boot such a kernel (README: Debian 13 has one in its backports)"
	select_kernel running
	[[ -d /lib/modules/$K_RELEASE ]] || die "there is no kernel $K_RELEASE on this machine to install the modules for"
	build_modules modules
	as_root "$RPP_TOP/scripts/package/install.sh" install "$K_RELEASE" "$K_OUT"
	say "installed for $K_RELEASE: 'modprobe igb_rust', and /etc/modprobe.d/rust-page-pool.conf says which driver gets a card"
	;;
uninstall) as_root "$RPP_TOP/scripts/package/install.sh" uninstall ;;
upstream-bench)
	# The kernel's own bench of its page_pool, unchanged.
	select_kernel stock
	mkdir -p "$K_OUT/upstream"
	kmake M="$K_SOURCE/tools/testing/selftests/net/bench/page_pool" MO="$K_OUT/upstream" modules
	;;
clippy)
	select_kernel stock
	K_OUT+=-clippy
	rm -rf "$K_OUT" # what is up to date would not be looked at
	build_modules CLIPPY=1 modules
	;;
*) die "usage: scripts/kernel.sh env | prepare | own | modules [auto] | install | uninstall | upstream-bench | clippy" ;;
esac
