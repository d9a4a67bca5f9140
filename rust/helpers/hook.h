/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The put_page() hook: catches a pool's page when its last reference is
 * dropped, wherever in the kernel that happens. What is here is for both hooks,
 * and what they call in Rust.
 */
#ifndef _RPP_HOOK_H
#define _RPP_HOOK_H

#include <linux/bottom_half.h>
#include <linux/irqflags.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/smp.h>

/* There local_bh_disable() sleeps, and put_page() is called where one may not. */
#ifdef CONFIG_PREEMPT_RT
#error "the put_page() hook does not support PREEMPT_RT"
#endif

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
#ifdef CONFIG_PAGE_FREE_HOOK
	/* They ask by themselves. */
	RPP_SITE_PAGE_FREE_HOOK,
#else
	RPP_SITE___FOLIO_PUT,
	RPP_SITE_FREE_UNREF_FOLIOS,
	RPP_SITE_PAGE_FRAG_FREE,
	RPP_SITE___FREE_PAGES,
	RPP_SITE_FREE_PAGES,
#endif
	RPP_SITES,
};

/* Tagged pages that came by, so that other pages pay nothing. */
DECLARE_PER_CPU(unsigned long[RPP_SITES], rpp_hook_hits);

/*
 * In Rust. Takes back @page, whose tag was seen and whose reference count is 0.
 *
 * @cpu: the CPU that runs this, with bottom halves off; or -1 in NMI, hard
 * interrupt, or with interrupts off.
 *
 * True: the pool has it, and has set the count to one for each buffer. False: the page is not
 * the pool's, or no longer; it has no mapping and no tag of ours, its count is
 * still 0, and the kernel frees it. Must not sleep; may not drop the last
 * reference of a page that is in a pool.
 */
bool rpp_page_release(struct page *page, int cpu);

/* The same, and frees the page if it is not the pool's. */
void rpp_page_put(struct page *page, int cpu);

/* In Rust. A site at @ip is called by @task, with @arg. */
void rpp_hook_probed(const void *task, unsigned long ip, const void *arg, bool on_stack);

/*
 * The context in which the pool gets a page is the CPU with bottom halves off,
 * or -1.
 *
 * With bottom halves off it does not matter whether interrupts are off as well:
 * what matters is that no ring's producer was interrupted, and that needs a hard
 * interrupt.
 */
static __always_inline bool bh_off(void)
{
	const unsigned int context = preempt_count() &
				     (NMI_MASK | HARDIRQ_MASK | SOFTIRQ_MASK);

	return likely(context && context <= SOFTIRQ_MASK);
}

/* Returns whether bottom halves, if they are turned off here, may be turned on again. */
static __always_inline bool bh_may_be_on(void)
{
	return !in_nmi() && !in_hardirq() && !irqs_disabled();
}

/* The rest: neither a softirq runs nor are bottom halves off. */
static __maybe_unused noinline notrace bool release_bh_on(struct page *page)
{
	bool ret;

	if (!bh_may_be_on())
		return rpp_page_release(page, -1);

	/*
	 * Softirqs that became pending meanwhile run in local_bh_enable(), and
	 * may free further pages; nothing is held by then.
	 */
	local_bh_disable();
	ret = rpp_page_release(page, smp_processor_id());
	local_bh_enable();
	return ret;
}

#endif
