#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Puts the drivers where modprobe finds them by name; for root. It needs nothing of the checkout but the file beside it.
#
#   install.sh install RELEASE DIR   the modules in DIR, for that kernel
#   install.sh uninstall             of all kernels, and the setting

set -euo pipefail

MODULES="rust_page_pool rust_net e1000_rust igb_rust"
# Which driver gets a card. What the machine's owner has changed there stays.
SETTING=/etc/modprobe.d/rust-page-pool.conf

case ${1-} in
install)
	to=/lib/modules/$2/updates
	for m in $MODULES; do install -D -m 644 "$3/$m.ko" "$to/$m.ko"; done
	[[ -e $SETTING ]] || install -D -m 644 "$(dirname "$0")/${SETTING##*/}" "$SETTING"
	depmod "$2"
	;;
uninstall)
	rm -f "$SETTING"
	for to in /lib/modules/*/updates; do
		[[ -e $to/rust_net.ko ]] || continue
		for m in $MODULES; do rm -f "$to/$m.ko"; done
		rmdir --ignore-fail-on-non-empty "$to"
		to=${to%/updates}
		depmod "${to##*/}"
	done
	;;
*)
	echo "usage: install.sh install RELEASE DIR | uninstall" >&2
	exit 2
	;;
esac
