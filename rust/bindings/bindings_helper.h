/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the Rust side of the page pool and of the net abstractions calls in the
 * kernel and the kernel crate's own bindings do not have.
 */
#include <linux/dma-mapping.h>
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/if_vlan.h>
#include <linux/interrupt.h>
#include <linux/mm.h>
#include <linux/netdevice.h>
#include <linux/pci.h>
#include <linux/rtnetlink.h>
#include <linux/skbuff.h>
#include <net/netdev_queues.h>
#include <net/page_pool/helpers.h>
#include <net/xdp.h>

#include "../../samples/bench/bench.h"
#include "../helpers/helpers.h"
