#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# scripts/vm.sh for the kernel of "make kernel KERNEL=uml", whatever kernel the caller
# works with. The modules are those of "make modules KERNEL=uml".

exec env -u RPP_KERNEL_ENV KERNEL=uml "$(dirname "$0")/vm.sh" "$@"
