// SPDX-License-Identifier: GPL-2.0
/* One function per route on which a page can lose its last reference. */
#include <linux/bottom_half.h>
#include <linux/gfp.h>
#include <linux/irq_work.h>
#include <linux/irqflags.h>
#include <linux/mm.h>
#include <linux/skbuff.h>
#include <linux/vmstat.h>
#include <net/xdp.h>

#include "hook.h"

struct page *rpp_selftest_alloc_page(void)
{
	return alloc_page(GFP_KERNEL);
}

int rpp_route_put_page(struct page *page)
{
	put_page(page);
	return 0;
}

int rpp_route_put_page_bh_off(struct page *page)
{
	local_bh_disable();
	put_page(page);
	local_bh_enable();
	return 0;
}

int rpp_route_put_page_irqs_off(struct page *page)
{
	local_irq_disable();
	put_page(page);
	local_irq_enable();
	return 0;
}

struct put_work {
	struct irq_work work;
	struct page *page;
	bool hardirq;
};

static void put_work_func(struct irq_work *work)
{
	struct put_work *put = container_of(work, struct put_work, work);

	put->hardirq = in_hardirq();
	put_page(put->page);
}

int rpp_route_put_page_irq_work(struct page *page)
{
	struct put_work put = {
		.work = IRQ_WORK_INIT_HARD(put_work_func),
		.page = page,
	};

	irq_work_queue(&put.work);
	irq_work_sync(&put.work);
	return put.hardirq ? 0 : -EPROTO;
}

/* Somebody who came by the page without owning it is the last to leave. */
int rpp_route_speculative(struct page *page)
{
	u64 hits = rpp_hook_hits();
	bool early;

	if (!get_page_unless_zero(page))
		return -EBUSY;
	put_page(page);
	early = rpp_hook_hits() != hits;
	put_page(page);
	return early ? -EPROTO : 0;
}

int rpp_route_folio_put_refs(struct page *page)
{
	get_page(page);
	folio_put_refs(page_folio(page), 2);
	return 0;
}

/* As pin_user_pages() does it for a page without a pin count of its own. */
int rpp_route_unpin_user_page(struct page *page)
{
	page_ref_add(page, GUP_PIN_COUNTING_BIAS);
	mod_node_page_state(page_pgdat(page), NR_FOLL_PIN_ACQUIRED, 1);
	put_page(page);
	unpin_user_page(page);
	return 0;
}

int rpp_route_page_frag_free(struct page *page)
{
	page_frag_free(page_address(page));
	return 0;
}

int rpp_route___free_pages(struct page *page)
{
	__free_pages(page, 0);
	return 0;
}

/* This one is hooked before the drop, so it has to leave a page that has users. */
int rpp_route___free_pages_not_last(struct page *page)
{
	u64 hits = rpp_hook_hits();
	bool early;

	get_page(page);
	__free_pages(page, 0);
	early = rpp_hook_hits() != hits;
	put_page(page);
	return early ? -EPROTO : 0;
}

int rpp_route_free_pages(struct page *page)
{
	free_pages((unsigned long)page_address(page), 0);
	return 0;
}

int rpp_route_skb_head_frag(struct page *page)
{
	struct sk_buff *skb = build_skb(page_address(page), PAGE_SIZE);

	if (!skb)
		return -ENOMEM;
	consume_skb(skb);
	return 0;
}

static struct sk_buff *skb_with_frag(struct page *page)
{
	struct sk_buff *skb = alloc_skb(64, GFP_KERNEL);

	if (skb)
		skb_add_rx_frag(skb, 0, page, 0, 64, PAGE_SIZE);
	return skb;
}

int rpp_route_skb_frag(struct page *page)
{
	struct sk_buff *skb = skb_with_frag(page);

	if (!skb)
		return -ENOMEM;
	consume_skb(skb);
	return 0;
}

int rpp_route_skb_clone(struct page *page)
{
	u64 hits = rpp_hook_hits();
	struct sk_buff *skb, *clone;
	bool early;

	skb = skb_with_frag(page);
	if (!skb)
		return -ENOMEM;
	clone = skb_clone(skb, GFP_KERNEL);
	if (!clone) {
		get_page(page);
		consume_skb(skb);
		return -ENOMEM;
	}
	consume_skb(skb);
	early = rpp_hook_hits() != hits;
	consume_skb(clone);
	return early ? -EPROTO : 0;
}

/* As a driver makes it: the frame lies in the headroom of its page. */
static int return_frame(struct page *page, enum xdp_mem_type type)
{
	struct xdp_frame *frame = page_address(page);

	*frame = (struct xdp_frame) {
		.data = frame + 1,
		.len = 60,
		.mem_type = type,
		.frame_sz = PAGE_SIZE,
	};
	xdp_return_frame(frame);
	return 0;
}

int rpp_route_xdp_page_order0(struct page *page)
{
	return return_frame(page, MEM_TYPE_PAGE_ORDER0);
}

int rpp_route_xdp_page_shared(struct page *page)
{
	return return_frame(page, MEM_TYPE_PAGE_SHARED);
}

int rpp_route_release_pages(struct page **pages, int nr)
{
	release_pages(pages, nr);
	return 0;
}
