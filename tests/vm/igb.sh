#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The 82576 under igb_rust, with one queue: what is tested of the 82540EM. For several queues see queues.sh.

cd "$(dirname "$0")/.." || exit
export DRIVER=igb_rust CARD=0x10c9 QUEUES=1
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh

plan 0

for script in e1000 xdp; do
	again "$script"
done
EVENTS="unbind pull" HOLDERS="socket redirect" RACE=5 again lifetime
nothing_loaded
