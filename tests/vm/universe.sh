#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Suites once more, where the kernel was booted otherwise, or NAPI is polled otherwise (NAPI, see load_driver): XDP on
# the 82576, its queues, and what both cards do with packets in several buffers.

cd "$(dirname "$0")/.." || exit
# shellcheck source=lib.sh
. tests/lib.sh
# shellcheck source=net.sh
. tests/net.sh

DRIVER=igb_rust CARD=0x10c9 PEER_DRIVER=e1000 QUEUES=1 again xdp
again queues
again jumbo
nothing_loaded
