/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The put_page() hook: catches a pool's page when its last reference is
 * dropped, wherever in the kernel that happens.
 */
#ifndef _RPP_HOOK_H
#define _RPP_HOOK_H

#include <linux/types.h>

struct page;

/*
 * Bits 63..48 of page->lru.next of a page that is in a pool. No kernel pointer
 * starts so, bits 0 and 1 of the word stay clear (they would mean a tail page
 * and pfmemalloc), and it is none of the list poisons. A hint only: the pool's
 * slot table says whether the page really is its own.
 */
#define RPP_TAG		0x7a5e

/* The functions in which every put_page() of an order-0 page ends. */
enum rpp_hook_site {
	RPP_SITE___FOLIO_PUT,
	RPP_SITE_FREE_UNREF_FOLIOS,
	RPP_SITE_PAGE_FRAG_FREE,
	RPP_SITE___FREE_PAGES,
	RPP_SITE_FREE_PAGES,
	RPP_SITES,
};

int rpp_hook_register(void);
void rpp_hook_unregister(void);
bool rpp_hook_active(void);
const char *rpp_hook_mode(void);
/* NULL behind the last one. */
const char *rpp_hook_site_name(unsigned int site);
/* How often a tagged page came by there, and how often the pool was asked. */
u64 rpp_hook_site_hits(unsigned int site);
u64 rpp_hook_hits(void);

/*
 * In Rust. Takes back @page, whose tag was seen and whose reference count is 0.
 *
 * @cpu: the CPU that runs this, with bottom halves off; or -1 in NMI, hard
 * interrupt, or with interrupts off.
 *
 * True: the pool has it, and has set the count to 1. False: the page is not
 * the pool's, or no longer; it has no mapping and no tag of ours, its count is
 * still 0, and the kernel frees it. Must not sleep; may not drop the last
 * reference of a page that is in a pool.
 */
bool rpp_page_release(struct page *page, int cpu);

/* The same, and frees the page if it is not the pool's, by rpp_page_free(). */
void rpp_page_put(struct page *page, int cpu);
void rpp_page_free(struct page *page);

#endif
