/* SPDX-License-Identifier: GPL-2.0 */
/* The contexts in which pages lose their last reference, for the hooks. */
#ifndef _RPP_HOOK_CONTEXT_H
#define _RPP_HOOK_CONTEXT_H

#include <linux/bottom_half.h>
#include <linux/irqflags.h>
#include <linux/preempt.h>
#include <linux/smp.h>

#include "hook.h"

/* There local_bh_disable() sleeps, and put_page() is called where one may not. */
#ifdef CONFIG_PREEMPT_RT
#error "the put_page() hook does not support PREEMPT_RT"
#endif

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

/* The rest: neither a softirq runs nor are bottom halves off. */
static __maybe_unused noinline notrace bool release_bh_on(struct page *page)
{
	bool ret;

	/* Nothing here may turn bottom halves on again. */
	if (in_nmi() || in_hardirq() || irqs_disabled())
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
