// SPDX-License-Identifier: GPL-2.0
/* Macros and static inlines that the self-test needs, by name. */
#include <linux/irq_work.h>
#include <linux/mm.h>
#include <linux/skbuff.h>
#include <linux/vmstat.h>

void rpp_get_page(struct page *page)
{
	get_page(page);
}

bool rpp_get_page_unless_zero(struct page *page)
{
	return get_page_unless_zero(page);
}

void rpp_folio_put_refs(struct page *page, int refs)
{
	folio_put_refs(page_folio(page), refs);
}

/* As pin_user_pages() does it for a page without a pin count of its own. */
void rpp_pin_page(struct page *page)
{
	page_ref_add(page, GUP_PIN_COUNTING_BIAS);
	mod_node_page_state(page_pgdat(page), NR_FOLL_PIN_ACQUIRED, 1);
}

void rpp_irq_work_init_hard(struct irq_work *work, void (*func)(struct irq_work *))
{
	*work = IRQ_WORK_INIT_HARD(func);
}

void rpp_skb_add_rx_frag(struct sk_buff *skb, struct page *page, int size)
{
	skb_add_rx_frag(skb, 0, page, 0, size, PAGE_SIZE);
}
