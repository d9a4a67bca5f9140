#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Kernels to build the modules against. Each is a directory in the cache with
# kernel.env, written last, which tells the other scripts all about it.
#
#   stock    Debian's 7.3 kernel as it is; only its Rust metadata are built
#   own      a small kernel from the same source and .config.fragment
#   running  the kernel that runs here, for "make && sudo insmod"
#   KDIR=    a build directory of the user's; KSRC=: a source tree of the user's

set -euo pipefail
. "$(dirname "$0")/lib.sh"

KDIR=${KDIR-} KSRC=${KSRC-} KERNEL=${KERNEL-} LLVM=${LLVM-}
RUNNING=${RUNNING:-$(uname -r)}
JOBS=$(nproc)

# enter COMMAND...: where the kernel's compilers are.
enter() {
	if [[ $K_ENTER == root ]]; then
		in_root "$@"
	else
		env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u RUSTUP_TOOLCHAIN "$@"
	fi
}

kmake() { enter make -C "$K_DIR" -j"$JOBS" "${K_MAKE[@]}" ${V:+V="$V"} "$@"; }

save_env() {
	declare -p K_NAME K_VERSION K_RELEASE K_DIR K_SOURCE K_IMAGE K_MODULES K_ENTER K_MAKE |
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
	[[ $1 == "$SUPPORTED" || $1 == "$SUPPORTED"[.+-]* ]] ||
		die "Linux $1 is not supported, only $SUPPORTED: ${2:-use a $SUPPORTED kernel, or leave KDIR and KSRC out}"
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
	[[ -z $want ]] || die "no rustc here is the one that this kernel was prepared with ($want; looked at:" \
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

# --- Debian's kernel -------------------------------------------------------

apt_private() { APT_CONFIG=$RPP_CACHE/apt/opts "$@"; }

# offers [RELEASE]: "VERSION RELEASE" of each 7.3 kernel whose source, image, modules
# and headers are all there in one version; the newest first, the tried one before.
offers() {
	apt_private apt-cache dumpavail | awk -v s="$SUPPORTED" -v want="${1-}" '
		$1 == "Package:" { p = $2 }
		$1 == "Version:" { have[p, $2] = 1; if (p == "linux-source-" s) source[$2] = 1
				   r = substr(p, 15)
				   if (want ? p == "linux-headers-" want : p ~ /^linux-headers-[0-9].*deb13-amd64$/)
					release[r, $2] = 1 }
		END { for (rv in release) { split(rv, a, SUBSEP); r = a[1]; v = a[2]
			if (source[v] && have["linux-binary-unsigned-" r, v] &&
			    have["linux-modules-" r, v] && have["linux-base-" r, v])
				print v, r } }' | sort -rV |
		awk -v tried="$TRIED" '{ l[NR] = $0 } $1 == tried { print }
			END { for (i = 1; i <= NR; i++) if (index(l[i], tried " ") != 1) print l[i] }'
}

# fetch VERSION PACKAGE...: into dl/; apt checks the signatures.
fetch() {
	local version=$1 p
	shift
	mkdir -p "$RPP_CACHE/dl"
	cd "$RPP_CACHE/dl"
	for p in "$@"; do
		compgen -G "${p}_${version/:/%3a}_*.deb" >/dev/null ||
			apt_private apt-get download "$p=$version" || return
	done
}

deb() { echo "$RPP_CACHE/dl/$2_${1/:/%3a}"_*.deb; }

# unpack_source VERSION: Debian's patched tree.
unpack_source() {
	local to=$RPP_CACHE/src-$1
	rm -rf "$to.part"
	mkdir "$to.part"
	dpkg-deb --fsys-tarfile "$(deb "$1" "linux-source-$SUPPORTED")" |
		tar -xO "./usr/src/linux-source-$SUPPORTED.tar.xz" |
		tar -xJ -C "$to.part" --strip-components=1
	mv "$to.part" "$to"
}

# unpack_kernel DIR: image, modules and Debian's configuration.
unpack_kernel() {
	local part=$1/debian.part p
	rm -rf "$part"
	mkdir -p "$part/lib"
	for p in base modules headers binary-unsigned; do
		dpkg-deb -x "$(deb "$K_VERSION" "linux-$p-$K_RELEASE")" "$part"
	done
	mv "$part/usr/lib/modules" "$part/lib/"
	cp "$part/usr/src/linux-headers-$K_RELEASE"/{.config,Module.symvers} "$part/"
	enter depmod -b "$part" "$K_RELEASE"
	rm -rf "${part:?}/usr"
	mv "$part" "$1/debian"
}

# build_metadata DIR: what a Rust module needs and Debian's headers lack. Debian's
# symbols come with it; nothing else of the kernel is compiled. Each part goes on
# where it was interrupted.
build_metadata() {
	local log=$1/config.diff
	mkdir -p "$K_DIR"
	[[ -s $K_DIR/.config ]] || cp "$1/debian/.config" "$K_DIR/.config"
	smake olddefconfig
	# A rustc or bindgen that does not fit would silently switch RUST off.
	smake rustavailable
	diff -u "$1/debian/.config" "$K_DIR/.config" >"$log" || cat "$log"
	smake modules_prepare
	cp "$1/debian/Module.symvers" "$K_DIR/"
	smake KBUILD_MODULES=1 prepare rust/
}

smake() { enter make -C "$K_SOURCE" O="$K_DIR" -j"$JOBS" "${K_MAKE[@]}" ${V:+V="$V"} "$@"; }

# debian_kernel NAME [VERSION RELEASE]: any of the offers, or this one only. The
# running kernel of a Debian 13 machine is served by the machine's own compilers.
debian_kernel() {
	local name=$1 want=${2-} dir list got=''

	K_NAME=$name K_ENTER=root
	[[ $name == running ]] && on_debian_13 && K_ENTER=native
	[[ ${RUSTC-}${BINDGEN-} ]] && K_ENTER=native
	need_space 3500
	[[ $K_ENTER == native ]] && native_packages
	[[ $K_ENTER == root ]] && "$RPP_TOP/scripts/setup.sh"
	"$RPP_TOP/scripts/setup.sh" apt
	list=$(offers ${3+"$3"})
	[[ $want ]] && list=$(grep -xF "$want $3" <<<"$list" || true)
	[[ $list ]] || die "the Debian mirror has no $SUPPORTED kernel${want:+ $want} whose source, image, modules and" \
		"headers agree in version: try another mirror, or pass KDIR= or KSRC="
	while read -r K_VERSION K_RELEASE; do
		(step fetch-kernel 30 "fetching Debian's kernel $K_VERSION" fetch "$K_VERSION" "linux-source-$SUPPORTED" \
			linux-{base,binary-unsigned,modules,headers}-"$K_RELEASE") && got=1 && break
	done <<<"$list"
	[[ $got ]] || die "cannot fetch the kernel packages: see the log above"
	[[ $want || $K_VERSION == "$TRIED" ]] ||
		say "  note: $TRIED, with which this was tried, is gone; using $K_VERSION"

	K_SOURCE=$RPP_CACHE/src-$K_VERSION
	K_MAKE=(ARCH=x86 CC=x86_64-linux-gnu-gcc-14 CROSS_COMPILE=x86_64-linux-gnu- KERNELRELEASE="$K_RELEASE")
	[[ -d $K_SOURCE ]] || step unpack-source 45 "unpacking the kernel source" unpack_source "$K_VERSION"
	[[ $K_ENTER == native ]] && native_make "$K_SOURCE"
	dir=$(debian_dir)
	K_DIR=$dir/build
	K_MODULES=$dir/debian/lib/modules/$K_RELEASE K_IMAGE=$K_MODULES/vmlinuz.unsigned
	mkdir -p "$dir"
	[[ -d $dir/debian ]] || step unpack-kernel 10 "unpacking Debian's kernel" unpack_kernel "$dir"
	check_config "$dir/debian"
	failed="the kernel's build tree cannot be prepared: see the log above" \
		step "metadata-$name" 120 "building the Rust metadata of $K_RELEASE" build_metadata "$dir"
	check_config "$K_DIR"
	save_env "$dir"
	ln -sfn "$dir" "$RPP_CACHE/$name"
}

# debian_dir: named after all that goes into it.
debian_dir() {
	local compilers
	if [[ $K_ENTER == root ]]; then
		compilers=$(<"$RPP_ROOT/compilers")
	else
		compilers="${K_MAKE[*]} $(x86_64-linux-gnu-gcc-14 --version) $("${K_MAKE[4]#RUSTC=}" --version)"
	fi
	echo "$RPP_CACHE/$K_NAME-$K_RELEASE-$(key "$K_VERSION" "$compilers")"
}

on_debian_13() (. /etc/os-release && [[ ${VERSION_CODENAME-} == trixie ]])

# have_debian NAME: its directory is complete and of today's compilers.
have_debian() (
	[[ -e $RPP_CACHE/$1/kernel.env ]] || return
	# shellcheck disable=SC1090
	. "$RPP_CACHE/$1/kernel.env"
	if [[ $K_ENTER == root ]]; then
		[[ -s $RPP_ROOT/compilers && -z ${RUSTC-}${BINDGEN-} ]] || return
	fi
	[[ $(readlink "$RPP_CACHE/$1") == "$(debian_dir)" ]]
)

# What the build root has, for a machine that builds with its own compilers.
native_packages() {
	local p missing=()
	for p in $BUILD_PACKAGES; do
		dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null | grep -q ^ii || missing+=("$p")
	done
	((${#missing[@]} == 0)) || "$RPP_TOP/scripts/setup.sh" install "${missing[@]}"
}

# The package version of the running kernel, when it is one of Debian 13's.
running_version() {
	dpkg-query -W -f '${Version}\n' "linux-image-$RUNNING" "linux-binary-$RUNNING" \
		"linux-base-$RUNNING" 2>/dev/null | head -n 1 || true
}

# --- The small kernel ------------------------------------------------------

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

# --- A user's kernel -------------------------------------------------------

user_kernel() {
	local dir

	[[ -d $KDIR ]] || die "KDIR=$KDIR is not a directory"
	KDIR=$(cd "$KDIR" && pwd -P)
	dir=$RPP_CACHE/kdir-$(key "$KDIR")
	check_config "$KDIR"
	[[ -s $KDIR/include/config/kernel.release ]] ||
		die "$KDIR is not prepared: run 'make modules_prepare' there, with the compilers of its kernel"
	K_NAME=kdir K_VERSION='' K_DIR=$KDIR K_IMAGE=$KDIR/arch/x86/boot/bzImage
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
		have_debian stock || debian_kernel stock
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
		[[ $KSRC ]] && name=own
		case $name in
		stock | running) kernel_of "$name" ;;
		own) own_selected ;;
		*) die "KERNEL=$name: there are stock, own and running" ;;
		esac
		RPP_ENV=$(readlink -f "$RPP_CACHE/$name")/kernel.env
	fi
	load_kernel "$RPP_ENV"
}

# The small kernel takes half an hour, so it is never built by the way.
own_selected() {
	local make="make kernel${KSRC:+ KSRC=$KSRC}"
	[[ -e $RPP_CACHE/own/kernel.env ]] || die "there is no kernel of our own yet: run '$make', about half an hour"
	load_kernel "$RPP_CACHE/own/kernel.env"
	[[ -z $KSRC || $K_SOURCE == "$(realpath "$KSRC")" ]] ||
		die "the kernel of our own is from $K_SOURCE: run '$make'"
	cmp -s "$RPP_CACHE/own/fragment" "$RPP_TOP/.config.fragment" ||
		warn "the kernel of our own is not of today's .config.fragment: '$make' builds that one"
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

case ${1-} in
env)
	"$RPP_TOP/scripts/setup.sh"
	select_kernel stock >&2
	[[ $K_NAME == kdir ]] && user_image >&2
	echo "$RPP_ENV"
	;;
prepare) select_kernel stock ;;
own) lock_cache; own_kernel ;;
modules)
	default=stock
	if [[ ${2-} == auto && -z $KERNEL$KDIR$KSRC ]]; then
		if [[ $RUNNING == "$SUPPORTED".* && -e /lib/modules/$RUNNING/build/rust/libkernel.rmeta ]]; then
			KDIR=/lib/modules/$RUNNING/build
		elif [[ $RUNNING == "$SUPPORTED".* && $(running_version) ]]; then
			default=running
		else
			say "note: the running kernel $RUNNING cannot take these modules (that needs Debian's $SUPPORTED kernel, or KDIR=);" \
				"building them for the VM: 'make run' tries them there"
		fi
	fi
	select_kernel "$default"
	build_modules modules
	if [[ $K_RELEASE == "$RUNNING" ]]; then
		cp "$K_OUT"/*.ko "$RPP_TOP/"
		say "modules for the running kernel $K_RELEASE: sudo insmod ./rust_page_pool.ko, rust_net.ko, e1000_rust.ko"
	else
		say "modules for $K_RELEASE: $K_OUT"
	fi
	;;
clippy)
	select_kernel stock
	K_OUT+=-clippy
	rm -rf "$K_OUT" # what is up to date would not be looked at
	build_modules CLIPPY=1 modules
	;;
*) die "usage: scripts/kernel.sh env | prepare | own | modules [auto] | clippy" ;;
esac
