#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# rust-page-pool-dkms_VERSION_all.deb: the sources of the four modules, for DKMS, which builds them for each kernel that
# takes them, as "make KERNEL=running" does.

set -euo pipefail
. "$(dirname "$0")/../lib.sh"

NAME=rust-page-pool
deb=$RPP_TOP/$NAME-dkms_${RPP_VERSION}_all.deb
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
src=$tmp/usr/src/$NAME-$RPP_VERSION doc=$tmp/usr/share/doc/$NAME-dkms
umask 022
chmod 755 "$tmp"

cd "$RPP_TOP"
mkdir -p "$src" "$doc" "$tmp/DEBIAN"
# Without what was built.
tar -c --exclude-vcs-ignores Kbuild Makefile rust drivers scripts/{lib,kernel,kernel-debian,kernel-own,setup}.sh |
	tar -x -C "$src" --no-same-owner --no-same-permissions
install -m 644 README.md "$doc/"
install -D -m 644 -t "$tmp/etc/modprobe.d" scripts/package/$NAME.conf
echo "/etc/modprobe.d/$NAME.conf" >"$tmp/DEBIAN/conffiles"

cat >"$doc/copyright" <<-END
	Copyright Rust page pool developers
	License: GPL-2.0, see /usr/share/common-licenses/GPL-2
END

# The cache is in the directory that DKMS builds in, and goes with it.
{
	cat <<-END
		PACKAGE_NAME="$NAME"
		PACKAGE_VERSION="$RPP_VERSION"
		MAKE[0]="'make' modules KERNEL=running RUNNING=\$kernelver RPP_CACHE=cache"
		AUTOINSTALL="yes"
		BUILD_EXCLUSIVE_ARCH="x86_64"
		BUILD_EXCLUSIVE_KERNEL="^${SUPPORTED/./\\.}\."
		BUILD_EXCLUSIVE_CONFIG="CONFIG_RUST !CONFIG_MODVERSIONS !CONFIG_PREEMPT_RT"
	END
	n=0
	for m in rust_page_pool rust_net e1000_rust igb_rust; do
		printf 'BUILT_MODULE_NAME[%d]="%s"\nDEST_MODULE_LOCATION[%d]="/updates/dkms"\n' $n $m $n
		n=$((n + 1))
	done
} >"$src/dkms.conf"

# dpkg holds apt's lock while this is built, so all that the build needs is there before. The compiler is the one that
# Debian builds the kernel with: backports have a newer one. The source is that of the newest kernel; for another one
# it is fetched.
# shellcheck disable=SC2086 # words
depends=$(echo $MODULE_PACKAGES | sed 's/ /, /g; s/^rustc/rustc (<< 1.86)/')
cat >"$tmp/DEBIAN/control" <<-END
	Package: $NAME-dkms
	Version: $RPP_VERSION
	Architecture: all
	Maintainer: Rust page pool developers <rust-page-pool@localhost>
	Section: kernel
	Priority: optional
	Installed-Size: $(du -sk "$tmp" | cut -f1)
	Depends: dkms (>= 3), $depends, linux-source-$SUPPORTED
	Recommends: openssl, mokutil
	Description: page pool and drivers for 82576 and 82540EM in Rust (DKMS)
	 The modules rust_page_pool and rust_net, a recycling page pool and network
	 device abstractions, and two drivers with them, igb_rust and e1000_rust. They are
	 built for Debian's Linux $SUPPORTED, whose headers have to be installed.
	 .
	 The C drivers keep their cards, unless /etc/modprobe.d/$NAME.conf says
	 otherwise.
END

# As dh_dkms has them.
cat >"$tmp/DEBIAN/postinst" <<-END
	#!/bin/sh
	set -e
	[ "\$1" != configure ] || /usr/lib/dkms/common.postinst $NAME $RPP_VERSION "" "" "\$2"
END
cat >"$tmp/DEBIAN/prerm" <<-END
	#!/bin/sh
	set -e
	[ -z "\$(dkms status -m $NAME -v $RPP_VERSION)" ] || dkms remove -m $NAME -v $RPP_VERSION --all
END
chmod 755 "$tmp"/DEBIAN/{postinst,prerm}

dpkg-deb --root-owner-group -Zxz --build "$tmp" "$deb" >/dev/null
say "$deb: sudo apt install $deb"
