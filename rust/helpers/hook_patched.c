// SPDX-License-Identifier: GPL-2.0
/*
 * The put_page() hook on a kernel with patches/ of this project. There the kernel
 * itself asks about each tagged page of order 0 whose last reference was dropped.
 * So nothing here depends on an architecture or on what a compiler inlines.
 */
#include <linux/gfp.h>

#include "hook.h"

/* The kernel asks about tagged pages only. */
static_assert(RPP_TAG == PAGE_FREE_HOOK_TAG);

bool rpp_hook_page_free(struct page *page)
{
	raw_cpu_inc(rpp_hook_hits[RPP_SITE_PAGE_FREE_HOOK]);
	return bh_off() ? rpp_page_release(page, smp_processor_id()) :
			  release_bh_on(page);
}
