#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# "make install", as udev and modprobe see it: the drivers by name, the C drivers' cards, the setting that turns that
# round, and a kernel that takes signed modules only.

cd "$(dirname "$0")/.." || exit
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh

RELEASE=$(uname -r)
SETTING=/etc/modprobe.d/rust-page-pool.conf
CARDS="0x10c9 0x100e 0x100f"
NAMES="igb e1000 igb_rust e1000_rust rust_net rust_page_pool"

plan 8

recover() { unload; }
unload() {
	local m
	for m in $NAMES; do
		[[ ! -d /sys/module/$m ]] || rmmod "$m"
	done
}

# card ID: its directory in sysfs.
card() { echo "/sys/bus/pci/devices/$(of_device "$1")"; }
# coldplug: loads what udev would, by the cards' aliases.
coldplug() {
	local id
	for id in $CARDS; do
		# (It fails for an alias that has a module which is not loaded, too.)
		modprobe -b -a "$(<"$(card "$id")/modalias")" || true
	done
}
# drivers DRIVER...: those of the 82576, the 82540EM and the 82545EM.
drivers() {
	local id driver now=''
	for id in $CARDS; do
		driver=$(readlink "$(card "$id")/driver") || driver=none
		now+="${driver##*/} "
	done
	[[ $now == "$* " ]] || { echo "drivers: $now, should be: $*"; return 1; }
}

installed() {
	bash package/install.sh install "$RELEASE" .
	grep "^updates/igb_rust.ko: updates/rust_net.ko updates/rust_page_pool.ko$" "/lib/modules/$RELEASE/modules.dep"
}

# description: what modinfo says of each.
description() {
	local m field
	for m in rust_page_pool rust_net e1000_rust igb_rust; do
		modinfo "$m"
		[[ $(modinfo -n "$m") == "/lib/modules/$RELEASE/updates/$m.ko" ]]
		for field in description author vermagic; do [[ $(modinfo -F $field "$m") ]]; done
		[[ $(modinfo -F license "$m") == GPL ]]
		[[ ! $(modinfo -F firmware "$m") ]]
	done
	[[ $(modinfo -F alias igb_rust) == pci:v00008086d000010C9sv* ]]
	[[ $(modinfo -F alias e1000_rust) == *pci:v00008086d0000100Esv* ]]
	[[ $(modinfo -F depends igb_rust) == rust_net,rust_page_pool && $(modinfo -F depends rust_net) == rust_page_pool ]]
	modinfo rust_net | grep "^parm: *buffers:Where .*(charp)"
}

by_name() {
	modprobe igb_rust
	modprobe e1000_rust
	drivers igb_rust e1000_rust e1000_rust
}

# by_alias DRIVER...: who gets the cards when the machine starts.
by_alias() {
	unload
	coldplug
	lsmod
	drivers "$@"
}
by_default() {
	by_alias igb e1000 e1000
	[[ ! -d /sys/module/rust_net ]]
}

turned_round() {
	sed -i 's/^#softdep/softdep/' $SETTING
	check "lines changed" "$(grep -c ^softdep $SETTING)" -eq 2
	by_alias igb_rust e1000_rust e1000_rust
	# The kernel's own tools for the initramfs ask so what to take along.
	modprobe -D igb | grep igb_rust
}

# An update of the package leaves that alone.
setting_kept() {
	bash package/install.sh install "$RELEASE" .
	grep ^softdep $SETTING
}

# As after a start with Secure Boot. There is no way back, so this is the last that loads a module.
locked_down() {
	unload
	mountpoint -q /sys/kernel/security || mount -t securityfs security /sys/kernel/security
	echo integrity >/sys/kernel/security/lockdown
	dmesg -c >/tmp/before
	fails insmod rust_page_pool.ko
	dmesg
	dmesg | grep "Lockdown: insmod: unsigned module loading is restricted"
	fails modprobe igb_rust
	# The setting is still turned round.
	by_alias igb e1000 e1000
}

uninstalled() {
	unload
	bash package/install.sh uninstall
	[[ ! -e $SETTING ]]
	[[ ! -e /lib/modules/$RELEASE/updates ]]
	fails grep _rust "/lib/modules/$RELEASE/modules.dep"
	fails modprobe igb_rust
}

try "install: the modules are in updates/, and depmod knows what they need" installed
try "install: modinfo tells what each is" description
try "by name: modprobe loads ours, and they take their cards" by_name
try "by alias: C drivers keep the cards" by_default
try "by alias: one setting turns that round" turned_round
try "install: once more, and the setting stays" setting_kept
try "lockdown: an unsigned module is refused, and C drivers have the cards" locked_down
try "uninstall: nothing is left" uninstalled
