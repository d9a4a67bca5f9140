// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's own ways to get a page for a packet and to give it back, each in
 * a loop like the one of the Rust side. The loops are as in the kernel's bench,
 * tools/testing/selftests/net/bench/page_pool.
 */
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/timex.h>
#include <linux/workqueue.h>
#include <net/page_pool/helpers.h>
#include <net/xdp.h>

#include "bench.h"

/* As large as a ring of the C pool is by default, and as the Rust side's pool. */
#define POOL_SIZE	1024
#define MAX_BULK	64U

static char *only;
module_param_named(case, only, charp, 0444);
MODULE_PARM_DESC(case, "Only the case of this name");

bool bench_wanted(const char *name)
{
	return !only || !strcmp(only, name);
}

void bench_start(struct bench_sample *s)
{
	s->ops = 0;
	s->ns = ktime_get_ns();
	s->cycles = get_cycles();
}

void bench_stop(struct bench_sample *s, u64 ops)
{
	s->cycles = get_cycles() - s->cycles;
	s->ns = ktime_get_ns() - s->ns;
	s->ops = ops;
}

struct softirq_call {
	struct work_struct work;
	void (*fn)(void *data);
	void *data;
};

static void softirq_call(struct work_struct *work)
{
	struct softirq_call *call = container_of(work, struct softirq_call, work);

	call->fn(call->data);
}

void bench_in_softirq(void (*fn)(void *data), void *data)
{
	struct softirq_call call = { .fn = fn, .data = data };

	INIT_WORK_ONSTACK(&call.work, softirq_call);
	queue_work(system_bh_wq, &call.work);
	flush_work(&call.work);
	destroy_work_on_stack(&call.work);
}

int bench_peer_init(struct bench_peer *peer, struct device *dev)
{
	struct page_pool_params params = {
		.pool_size = POOL_SIZE,
		.nid = NUMA_NO_NODE,
		.dma_dir = DMA_BIDIRECTIONAL,
		.dev = dev,
	};

	if (dev) {
		params.flags = PP_FLAG_DMA_MAP | PP_FLAG_DMA_SYNC_DEV;
		params.max_len = PAGE_SIZE;
	}
	peer->dev = dev;
	peer->pool = page_pool_create(&params);
	return PTR_ERR_OR_ZERO(peer->pool);
}

void bench_peer_exit(struct bench_peer *peer)
{
	page_pool_destroy(peer->pool);
}

/*
 * Pages, or parts of them of peer->n bytes, that come back in NAPI or from elsewhere:
 * compiled for each.
 */
static __always_inline void pool_loop(const struct bench_peer *peer, u64 loops,
				      struct bench_sample *s, bool frag, bool direct)
{
	struct page_pool *pool = peer->pool;
	unsigned int offset;
	struct page *page;
	u64 i;

	bench_start(s);
	for (i = 0; i < loops; i++) {
		page = frag ? page_pool_dev_alloc_frag(pool, &offset, peer->n) :
			      page_pool_alloc_pages(pool, GFP_ATOMIC);
		if (!page)
			return;
		barrier();
		page_pool_put_page(pool, page, -1, direct);
	}
	bench_stop(s, i);
}

/* What an XDP program drops. */
void bench_pool_direct(const struct bench_peer *peer, u64 loops,
		       struct bench_sample *s)
{
	pool_loop(peer, loops, s, false, true);
}

/* The same with a look at the packet's first 64 bytes in between. */
void bench_pool_direct_sync(const struct bench_peer *peer, u64 loops,
			    struct bench_sample *s)
{
	struct page_pool *pool = peer->pool;
	struct page *page;
	u64 i;

	bench_start(s);
	for (i = 0; i < loops; i++) {
		page = page_pool_alloc_pages(pool, GFP_ATOMIC);
		if (!page)
			return;
		page_pool_dma_sync_for_cpu(pool, page, 0, 64);
		barrier();
		page_pool_recycle_direct(pool, page);
	}
	bench_stop(s, i);
}

/* Parts of pages, of peer->n bytes, dropped in NAPI, ... */
void bench_pool_frag(const struct bench_peer *peer, u64 loops,
		     struct bench_sample *s)
{
	pool_loop(peer, loops, s, true, true);
}

/* ... and those that come back from elsewhere. */
void bench_pool_frag_ring(const struct bench_peer *peer, u64 loops,
			  struct bench_sample *s)
{
	pool_loop(peer, loops, s, true, false);
}

/* What comes back from elsewhere. */
void bench_pool_ring(const struct bench_peer *peer, u64 loops,
		     struct bench_sample *s)
{
	pool_loop(peer, loops, s, false, false);
}

/* What somebody else had a reference to: it cannot be recycled. */
void bench_pool_release(const struct bench_peer *peer, u64 loops,
			struct bench_sample *s)
{
	struct page_pool *pool = peer->pool;
	struct page *page;
	u64 i;

	bench_start(s);
	for (i = 0; i < loops; i++) {
		page = page_pool_alloc_pages(pool, GFP_ATOMIC);
		if (!page)
			return;
		get_page(page);
		page_pool_put_page(pool, page, -1, false);
		put_page(page);
	}
	bench_stop(s, i);
}

/* A new pool that gets its pages. */
void bench_pool_grow(const struct bench_peer *peer, u64 loops,
		     struct bench_sample *s)
{
	struct page_pool *pool = peer->pool;
	struct page **pages;
	u64 i;

	pages = kcalloc(loops, sizeof(*pages), GFP_ATOMIC);
	if (!pages)
		return;
	bench_start(s);
	for (i = 0; i < loops; i++) {
		pages[i] = page_pool_alloc_pages(pool, GFP_ATOMIC);
		if (!pages[i])
			break;
	}
	bench_stop(s, i);
	while (i--)
		page_pool_put_page(pool, pages[i], -1, false);
	kfree(pages);
}

/* It takes no more than a bulk queue of XDP holds. */
static void put_bulk(netmem_ref *pages, u32 n)
{
	u32 i;

	for (i = 0; i < n; i += XDP_BULK_QUEUE_SIZE)
		page_pool_put_netmem_bulk(pages + i,
					  min(n - i, XDP_BULK_QUEUE_SIZE));
}

/* A poll's worth of pages at a time; an op is a page. */
void bench_pool_bulk(const struct bench_peer *peer, u64 loops,
		     struct bench_sample *s)
{
	struct page_pool *pool = peer->pool;
	u32 bulk = min(peer->n, MAX_BULK);
	netmem_ref pages[MAX_BULK];
	u64 i;
	u32 n;

	bench_start(s);
	for (i = 0; i < loops; i += bulk) {
		for (n = 0; n < bulk; n++) {
			pages[n] = page_pool_alloc_netmems(pool, GFP_ATOMIC);
			if (!pages[n])
				goto out;
		}
		barrier();
		put_bulk(pages, bulk);
	}
	bench_stop(s, i);
	return;
out:
	put_bulk(pages, n);
}

void bench_loop(const struct bench_peer *peer, u64 loops,
		struct bench_sample *s)
{
	u64 i;

	bench_start(s);
	for (i = 0; i < loops; i++)
		barrier();
	bench_stop(s, i);
}

void bench_alloc(const struct bench_peer *peer, u64 loops,
		 struct bench_sample *s)
{
	u32 order = peer->n;
	struct page *page;
	u64 i;

	bench_start(s);
	for (i = 0; i < loops; i++) {
		page = alloc_pages(GFP_ATOMIC, order);
		if (!page)
			return;
		barrier();
		__free_pages(page, order);
	}
	bench_stop(s, i);
}

void bench_alloc_bulk(const struct bench_peer *peer, u64 loops,
		      struct bench_sample *s)
{
	u32 bulk = min(peer->n, MAX_BULK);
	struct page *pages[MAX_BULK] = {};
	u32 n, last;
	u64 i;

	bench_start(s);
	for (i = 0; i < loops; i += bulk) {
		/* It may bring one page only, and comes to the rest when called again. */
		n = 0;
		do {
			last = n;
			n = alloc_pages_bulk(GFP_ATOMIC, bulk, pages);
		} while (n < bulk && n > last);
		barrier();
		release_pages(pages, n);
		if (n < bulk)
			return;
		/* alloc_pages_bulk() fills the entries that are null. */
		memset(pages, 0, n * sizeof(*pages));
	}
	bench_stop(s, i);
}

void bench_map(const struct bench_peer *peer, u64 loops,
	       struct bench_sample *s)
{
	struct device *dev = peer->dev;
	struct page *page = alloc_page(GFP_ATOMIC);
	dma_addr_t dma;
	u64 i;

	if (!page)
		return;
	bench_start(s);
	for (i = 0; i < loops; i++) {
		dma = dma_map_page(dev, page, 0, PAGE_SIZE, DMA_FROM_DEVICE);
		if (dma_mapping_error(dev, dma))
			goto out;
		dma_unmap_page(dev, dma, PAGE_SIZE, DMA_FROM_DEVICE);
	}
	bench_stop(s, i);
out:
	put_page(page);
}

/* What a driver without a pool does for each packet. */
void bench_alloc_map(const struct bench_peer *peer, u64 loops,
		     struct bench_sample *s)
{
	struct device *dev = peer->dev;
	struct page *page;
	dma_addr_t dma;
	u64 i;

	bench_start(s);
	for (i = 0; i < loops; i++) {
		page = alloc_page(GFP_ATOMIC);
		if (!page)
			return;
		dma = dma_map_page(dev, page, 0, PAGE_SIZE, DMA_FROM_DEVICE);
		if (dma_mapping_error(dev, dma)) {
			put_page(page);
			return;
		}
		barrier();
		dma_unmap_page(dev, dma, PAGE_SIZE, DMA_FROM_DEVICE);
		put_page(page);
	}
	bench_stop(s, i);
}
