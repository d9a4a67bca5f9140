#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The other cards of the 82540EM's family that e1000_rust drives, the 82545EM (VMware's) and the 82544GC: what is tested of the
# 82540EM, shorter.

cd "$(dirname "$0")/.." || exit
export DRIVER=e1000_rust PEER_DRIVER=e1000e PEER_MAC=52:54:00:00:00:03
export MB=16 UPDOWNS=5 LOADS=4 ATTACHES=3 EVENTS=unbind HOLDERS=socket RACE=2
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh

for card in 0x100f/01 0x100c/02; do
	export CARD=${card%/*} MAC=52:54:00:00:00:${card#*/}
	again e1000
	again xdp
	again lifetime
done
nothing_loaded
