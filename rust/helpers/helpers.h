/* SPDX-License-Identifier: GPL-2.0 */
/* The C that the kernel forces on us: macros and static inlines, by name. */
#ifndef _RPP_HELPERS_H
#define _RPP_HELPERS_H

#include "hook.h"
#include "net.h"
#include "page_pool.h"
#include "selftest.h"

/* What the end of a page is needed for when an skb is built over it. */
static const unsigned long RPP_SKB_TAIL =
	SKB_DATA_ALIGN(sizeof(struct skb_shared_info));

/* Pages are mapped once; the caches are flushed for each use, not for that. */
static const unsigned long RPP_DMA_ATTRS = DMA_ATTR_SKIP_CPU_SYNC;

/*
 * Without access to the emergency reserves: a page from there must not be kept
 * (the kernel wants it back at once), so it would be of no use to a pool.
 */
static const gfp_t RPP_GFP_ATOMIC = GFP_ATOMIC | __GFP_NOWARN | __GFP_NOMEMALLOC;
static const gfp_t RPP_GFP_KERNEL = GFP_KERNEL | __GFP_NOWARN | __GFP_NOMEMALLOC;

/* How fast jiffies count. */
static const unsigned long RPP_HZ = HZ;

#endif
