# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034 # variables of kernel.sh's
#
# Debian's kernel as it is: its packages are fetched and unpacked, and the Rust
# metadata that its headers lack are built. Sourced by kernel.sh.

SOURCE_TAR=usr/src/linux-source-$SUPPORTED.tar.xz

apt_private() { APT_CONFIG=$RPP_CACHE/apt/opts "$@"; }

# offers [RELEASE]: "VERSION RELEASE" of each 7.3 kernel whose source, image, modules
# and headers are all there in one version; the newest first, the tried one before.
offers() {
	apt_private apt-cache show '^linux-(source|headers|base|modules|binary-unsigned)-' | awk -v s="$SUPPORTED" -v want="${1-}" '
		$1 == "Package:" { p = $2 }
		$1 == "Version:" { have[p, $2] = 1; if (p == "linux-source-" s) source[$2] = 1
				   r = substr(p, 15)
				   if (want ? p == "linux-headers-" want : p ~ /^linux-headers-[0-9][^-]*-amd64$/)
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
	cd "$RPP_CACHE/dl" || return
	for p in "$@"; do
		compgen -G "${p}_${version/:/%3a}_*.deb" >/dev/null ||
			apt_private apt-get download "$p=$version" || return
	done
}

deb() { echo "$RPP_CACHE/dl/$2_${1/:/%3a}"_*.deb; }

# installed VERSION FILE PACKAGE: this machine has the package in that version, and this file of it.
installed() { [[ -e $2 && $(dpkg-query -W -f '${Version}' "$3" 2>/dev/null) == "$1" ]]; }

# unpack_source VERSION: Debian's patched tree.
unpack_source() {
	local to=$RPP_CACHE/src-$1
	rm -rf "$to.part"
	mkdir "$to.part"
	if installed "$1" "/$SOURCE_TAR" "linux-source-$SUPPORTED"; then
		cat "/$SOURCE_TAR"
	else
		dpkg-deb --fsys-tarfile "$(deb "$1" "linux-source-$SUPPORTED")" | tar -xO "./$SOURCE_TAR"
	fi | tar -xJ -C "$to.part" --strip-components=1
	mv "$to.part" "$to"
}

# headers_file FILE: of the kernel's headers, from the package or as installed.
headers_file() {
	local file=usr/src/linux-headers-$K_RELEASE/$1
	if installed "$K_VERSION" "/$file" "linux-headers-$K_RELEASE"; then
		cat "/$file"
	else
		dpkg-deb --fsys-tarfile "$(deb "$K_VERSION" "linux-headers-$K_RELEASE")" | tar -xO "./$file"
	fi
}

# unpack_kernel DIR [HEADERS]: image, modules and Debian's configuration; or only that.
unpack_kernel() {
	local part=$1/debian.part p
	rm -rf "$part"
	mkdir -p "$part/lib"
	for p in .config Module.symvers; do headers_file "$p" >"$part/$p"; done
	if [[ ! ${2-} ]]; then
		for p in base modules binary-unsigned; do
			dpkg-deb -x "$(deb "$K_VERSION" "linux-$p-$K_RELEASE")" "$part"
		done
		mv "$part/usr/lib/modules" "$part/lib/"
		enter depmod -b "$part" "$K_RELEASE"
		rm -rf "${part:?}/usr"
	fi
	rm -rf "$1/debian"
	mv "$part" "$1/debian"
}

# debian_image: what unpack_kernel left out, for the VM.
debian_image() {
	"$RPP_TOP/scripts/setup.sh" apt
	step fetch-kernel 30 "fetching Debian's kernel $K_VERSION" \
		fetch "$K_VERSION" linux-{base,binary-unsigned,modules}-"$K_RELEASE"
	step unpack-kernel 10 "unpacking Debian's kernel" unpack_kernel "${K_DIR%/*}"
}

# choose_root: leaves in K_ROOT where the kernel's compilers are, and in K_MAKE which. The names of Rust's symbols depend
# on the compiler, so modules have to be of the very same. Where it is not Debian 13's, it may be sid's.
choose_root() {
	local want cc
	want=$(headers_file .config | option RUSTC_VERSION_TEXT /dev/stdin)
	cc=$(headers_file .config | option CC_VERSION_TEXT /dev/stdin)
	cc=${cc%% *}
	K_MAKE=(ARCH=x86 CC="$cc" CROSS_COMPILE=x86_64-linux-gnu- KERNELRELEASE="$K_RELEASE")
	[[ $K_ENTER == root && $(enter rustc --version) != "$want" ]] || return 0
	cc=${cc#x86_64-linux-gnu-}
	K_ROOT=$RPP_CACHE/root-sid-$(key "$cc" "$MODULE_PACKAGES")
	[[ -s $K_ROOT/compilers ]] ||
		"$RPP_TOP/scripts/setup.sh" root sid "$K_ROOT" "${MODULE_PACKAGES/gcc-14/$cc}" "rustc bindgen $cc"
	[[ $(enter rustc --version) == "$want" ]] ||
		die "Debian built $K_VERSION with $want, as its modules have to be, but neither Debian 13 nor sid has that" \
			"($(enter rustc --version)): use another kernel; if sid has it by now, remove $K_ROOT"
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

# debian_kernel NAME [VERSION RELEASE]: any of the offers, or this one only. The
# running kernel of a Debian 13 machine is served by the machine's own compilers, and by its own packages. Of NAME
# stock@VERSION all suites are looked at.
debian_kernel() {
	local name=$1 want=${2-} dir here='' suites=''

	K_NAME=${name%@*} K_ENTER=root K_ROOT=''
	[[ $name == running ]] && on_debian_13 && K_ENTER=native
	[[ ${RUSTC-}${BINDGEN-} ]] && K_ENTER=native
	[[ $name != stock@* ]] || want=${name#*@} suites="forky sid experimental"
	need_space 3500
	[[ $K_ENTER == native ]] && native_packages
	[[ $K_ENTER == root ]] && "$RPP_TOP/scripts/setup.sh"
	if [[ $name == running ]] && installed "$want" "/usr/src/linux-headers-$3/.config" "linux-headers-$3" &&
		installed "$want" "/$SOURCE_TAR" "linux-source-$SUPPORTED"; then
		K_VERSION=$want K_RELEASE=$3 here=1
	else
		# shellcheck disable=SC2086 # words
		"$RPP_TOP/scripts/setup.sh" apt $suites
		fetch_kernel "$want" "${@:3}"
	fi

	K_SOURCE=$RPP_CACHE/src-$K_VERSION
	choose_root
	[[ -d $K_SOURCE ]] || step unpack-source 45 "unpacking the kernel source" unpack_source "$K_VERSION"
	[[ $K_ENTER == native ]] && native_make "$K_SOURCE" "$(headers_file .config | option RUSTC_VERSION_TEXT /dev/stdin)"
	dir=$(debian_dir)
	K_DIR=$dir/build
	K_MODULES=$dir/debian/lib/modules/$K_RELEASE K_IMAGE=$K_MODULES/vmlinuz.unsigned
	mkdir -p "$dir"
	[[ -d $dir/debian ]] || step unpack-kernel 10 "unpacking Debian's kernel" unpack_kernel "$dir" "$here"
	check_config "$dir/debian"
	failed="the kernel's build tree cannot be prepared: see the log above" \
		step "metadata-$K_NAME" 120 "building the Rust metadata of $K_RELEASE" build_metadata "$dir"
	check_config "$K_DIR"
	save_env "$dir"
	ln -sfn "$dir" "$RPP_CACHE/$name"
}

# fetch_kernel [VERSION [RELEASE]]: leaves in K_VERSION and K_RELEASE which it is.
fetch_kernel() {
	local want=$1 all list got=''
	all=$(offers "${2-}")
	list=$(awk -v want="$want" 'want == "" || $1 == want' <<<"$all")
	[[ $list ]] || die "the Debian mirror has no $SUPPORTED kernel${want:+ $want} whose source, image, modules and" \
		"headers agree in version${all:+ (but ${all//$'\n'/, })}: try another mirror, or pass KDIR= or KSRC="
	while read -r K_VERSION K_RELEASE; do
		(step fetch-kernel 30 "fetching Debian's kernel $K_VERSION" fetch "$K_VERSION" "linux-source-$SUPPORTED" \
			linux-{base,binary-unsigned,modules,headers}-"$K_RELEASE") && got=1 && break
	done <<<"$list"
	[[ $got ]] || die "cannot fetch the kernel packages: see the log above"
	[[ $want || $K_VERSION == "$TRIED" ]] ||
		say "  note: $TRIED, with which this was tried, is gone; using $K_VERSION"
}

# debian_dir: named after all that goes into it.
debian_dir() {
	local compilers
	if [[ $K_ENTER == root ]]; then
		compilers=$(<"${K_ROOT:-$RPP_ROOT}/compilers")
	else
		compilers="${K_MAKE[*]} $("${K_MAKE[1]#CC=}" --version) $("${K_MAKE[4]#RUSTC=}" --version)"
	fi
	echo "$RPP_CACHE/$K_NAME-$K_RELEASE-$(key "$K_VERSION" "$compilers")"
}

on_debian_13() (. /etc/os-release && [[ ${VERSION_CODENAME-} == trixie ]])

# have_debian NAME: its directory is complete and of today's compilers.
have_debian() (
	[[ -e $RPP_CACHE/$1/kernel.env ]] || return
	load_kernel "$RPP_CACHE/$1/kernel.env"
	if [[ $K_ENTER == root ]]; then
		[[ -s $RPP_ROOT/compilers && -s ${K_ROOT:-$RPP_ROOT}/compilers && -z ${RUSTC-}${BINDGEN-} ]] || return
	fi
	[[ $(readlink "$RPP_CACHE/$1") == "$(debian_dir)" ]]
)

# What a build root has, for a machine that builds with its own compilers.
native_packages() {
	local p missing=()
	for p in $MODULE_PACKAGES; do
		dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null | grep -q ^ii || missing+=("$p")
	done
	((${#missing[@]} == 0)) || "$RPP_TOP/scripts/setup.sh" install "${missing[@]}"
}

# The package version of the running kernel, when it is one of Debian 13's.
running_version() {
	dpkg-query -W -f '${Version}\n' "linux-image-$RUNNING" "linux-binary-$RUNNING" \
		"linux-base-$RUNNING" 2>/dev/null | head -n 1 || true
}
