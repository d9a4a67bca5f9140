#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What the machine needs: a few host packages, an apt state of our own that also
# knows Debian 13 and its backports, and a Debian 13 root with the compilers.
# The machine's own sources and kernels stay as they are. Idempotent.

set -euo pipefail
. "$(dirname "$0")/lib.sh"

APT=$RPP_CACHE/apt
NO_NETWORK="no network, or the package mirror is down: check that 'apt-get update' works, then run this again"

# install_packages PACKAGE...: on the host.
install_packages() {
	((EUID == 0)) || sudo -v 2>/dev/null || # asks for the password, before the step hides that
		die "no permission to install $*: run this as root or with sudo, or have it done: apt-get install $*"
	# The lists may be missing (a fresh machine) or old.
	failed="cannot install $*: see the log above; or install them by hand, then run this again" \
		step host-packages 60 "installing $*" as_root sh -c '
		export DEBIAN_FRONTEND=noninteractive
		apt-get install -y --no-install-recommends "$@" ||
		{ apt-get update && apt-get install -y --no-install-recommends "$@"; }' sh "$@"
}

host_packages() {
	local pair missing=()
	for pair in bwrap:bubblewrap mmdebstrap:mmdebstrap xz:xz-utils patch:patch; do
		command -v "${pair%:*}" >/dev/null || missing+=("${pair#*:}")
	done
	((${#missing[@]} == 0)) && return
	command -v apt-get >/dev/null ||
		die "this is not a Debian system: install ${missing[*]} by hand, and pass KDIR= or KSRC="
	install_packages "${missing[@]}"
}

# The first Debian mirror that the machine's own apt is set up with.
find_mirror() {
	local mirror
	mirror=$(sed -n 's/^URIs:[[:space:]]*\([^[:space:]]*\).*/\1/p' /etc/apt/sources.list.d/debian.sources \
		2>/dev/null | head -n 1)
	[[ $mirror ]] || mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
		sed -n 's/^deb[[:space:]]\+\(\[[^]]*\][[:space:]]\+\)\?\([^[:space:]]\+\)[[:space:]]\+\(bookworm\|trixie\|stable\)[[:space:]].*/\2/p' |
		head -n 1)
	[[ $mirror ]] || mirror=$(cat /etc/apt/sources.list.d/*.sources 2>/dev/null |
		sed -n 's,^URIs:[[:space:]]*\([^[:space:]]*/debian/\?\)\([[:space:]].*\)\?$,\1,p' | head -n 1)
	[[ $mirror ]] || die "no Debian mirror in /etc/apt: add one there"
	printf '%s\n' "$mirror"
}

# private_apt [SUITE...]: Debian 13, its backports, and those.
private_apt() {
	local keyring mirror
	mirror=$(find_mirror)
	for keyring in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
		[[ -e $keyring ]] && break
	done
	mkdir -p "$APT"/{lists/partial,cache/archives/partial,parts}
	: >"$APT/status"
	cat >"$APT/parts/debian.sources" <<-END
		Types: deb
		URIs: $mirror
		Suites: trixie trixie-backports
		Components: main
		Architectures: amd64
		Signed-By: $keyring
	END
	rm -f "$APT/parts/others.sources"
	(($# == 0)) || sed "s/^Suites:.*/Suites: $*/" "$APT/parts/debian.sources" >"$APT/parts/others.sources"
	cat >"$APT/opts" <<-END
		Dir::Etc::sourcelist "/dev/null";
		Dir::Etc::sourceparts "$APT/parts";
		Dir::State::Lists "$APT/lists";
		Dir::State::status "$APT/status";
		Dir::Cache "$APT/cache";
		APT::Architecture "amd64";
		APT::Sandbox::User "root";
		APT::Update::Error-Mode "any";
		Acquire::Retries "3";
		Acquire::Languages "none";
	END
	failed=$NO_NETWORK step apt-update 10 "reading the package lists of Debian 13" \
		env APT_CONFIG="$APT/opts" apt-get update
}

# build_root SUITE DIR PACKAGES COMPILERS: a Debian with these packages, of which those name the compilers in it.
build_root() {
	local part=$2.part proxy=$APT/proxy sources=$APT/root.sources

	# A mount namespace of its own: its mounts are gone when it is killed.
	as_root rm -rf --one-file-system "$part"
	apt-config dump | grep -E '^Acquire::((http|https)::Proxy|Check-Valid-Until)' >"$proxy" || true
	cp "$APT/parts/debian.sources" "$sources"
	[[ $1 == trixie ]] || sed -i "s/^Suites:.*/Suites: $1/" "$sources"
	# shellcheck disable=SC2086 # the packages are words
	failed="cannot make the build root; if the log above names the network: $NO_NETWORK" \
		step "build-root-$1" 150 "Debian ($1) with its compilers, beside the machine's own" \
		as_root unshare --mount mmdebstrap --mode=root --variant=apt --aptopt="$proxy" --aptopt='APT::Sandbox::User "root"' \
		--aptopt='Acquire::Retries "3"' --include="$(echo $3 | tr ' ' ,)" \
		"$1" "$part" "$sources"
	# Readable and removable by the user who owns the cache.
	((EUID == 0)) || as_root chown -R "$(id -u):$(id -g)" "$part"
	# shellcheck disable=SC2016,SC2086 # dpkg-query's own variables; words
	RPP_ROOT=$part in_root dpkg-query -W -f '${Package} ${Version}\n' $4 >"$part/compilers"
	mv "$part" "$2"
}

case ${1-} in
'')
	lock_cache
	[[ -s $RPP_ROOT/compilers ]] || need_space 5500 # with the kernel that comes next
	host_packages
	[[ -s $RPP_ROOT/compilers ]] || {
		private_apt
		build_root trixie "$RPP_ROOT" "$ROOT_PACKAGES" "rustc bindgen gcc-14 clang-19"
	}
	;;
apt) private_apt "${@:2}" ;;
root) build_root "${@:2}" ;;
install) install_packages "${@:2}" ;;
*) die "usage: scripts/setup.sh [apt [SUITE...] | root SUITE DIR PACKAGES COMPILERS | install PACKAGE...]" ;;
esac
