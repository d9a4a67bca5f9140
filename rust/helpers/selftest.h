/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Ways to drop the last reference to an order-0 page, for the self-test.
 *
 * Each takes over the caller's only reference to @page and returns 0 when it is
 * gone. -EPROTO: it is gone, but not as the route has it. Any other error: the
 * route could not be set up, and the caller still has the reference.
 */
#ifndef _RPP_SELFTEST_H
#define _RPP_SELFTEST_H

struct page;

int rpp_route_put_page(struct page *page);
int rpp_route_put_page_bh_off(struct page *page);
int rpp_route_put_page_irqs_off(struct page *page);
int rpp_route_put_page_irq_work(struct page *page);
int rpp_route_speculative(struct page *page);
int rpp_route_folio_put_refs(struct page *page);
int rpp_route_unpin_user_page(struct page *page);
int rpp_route_page_frag_free(struct page *page);
int rpp_route___free_pages(struct page *page);
int rpp_route___free_pages_not_last(struct page *page);
int rpp_route_free_pages(struct page *page);
int rpp_route_skb_head_frag(struct page *page);
int rpp_route_skb_frag(struct page *page);
int rpp_route_skb_clone(struct page *page);
int rpp_route_xdp_page_order0(struct page *page);
int rpp_route_xdp_page_shared(struct page *page);

/* As above, for @nr pages at once. */
int rpp_route_release_pages(struct page **pages, int nr);

struct page *rpp_selftest_alloc_page(void);

#endif
