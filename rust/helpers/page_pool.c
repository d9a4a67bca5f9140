// SPDX-License-Identifier: GPL-2.0
/*
 * Macros and static inlines that the page pool needs, by name. None of them is
 * on the path of a packet that NAPI allocates for and recycles.
 */
#include <linux/device.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/iommu-dma.h>
#include <linux/mm.h>
#include <linux/page-flags.h>
#include <linux/swiotlb.h>

#include "hook.h"

bool rpp_in_hardirq(void)
{
	return in_hardirq() || in_nmi();
}

bool rpp_irqs_disabled(void)
{
	return irqs_disabled();
}

/*
 * This CPU, whose bottom halves are off; or none, in a hard interrupt: that may
 * have come between the two halves of a return to this CPU's ring.
 */
unsigned int rpp_cpu(void)
{
	return rpp_in_hardirq() ? UINT_MAX : smp_processor_id();
}

void rpp_local_bh_disable(void)
{
	local_bh_disable();
}

void rpp_local_bh_enable(void)
{
	local_bh_enable();
}

/* Interrupts are off, and stay off: does not run softirqs. */
void rpp_local_bh_enable_irqs_off(void)
{
	_local_bh_enable();
}

unsigned long rpp_alloc_pages_bulk(struct device *dev, gfp_t gfp,
				   unsigned long nr, struct page **pages)
{
	int node = dev ? dev_to_node(dev) : NUMA_NO_NODE;

	return alloc_pages_bulk_node(gfp, node, nr, pages);
}

void rpp_put_pages(struct page **pages, unsigned long nr)
{
	release_pages(pages, nr);
}

/*
 * Where there are pages that @dev reaches: anywhere, if an IOMMU translates or all
 * memory is low enough. A page from elsewhere would be bounced for life.
 */
gfp_t rpp_dma_zone(struct device *dev)
{
	u64 reach = min_not_zero(dma_get_mask(dev), dev->bus_dma_limit);

	if (use_dma_iommu(dev) || !dma_addressing_limited(dev))
		return 0;
	if (IS_ENABLED(CONFIG_ZONE_DMA) && reach < DMA_BIT_MASK(32))
		return GFP_DMA;
	return GFP_DMA32;
}

/*
 * How many pages the bounce buffers of @dev hold, if those are why it needs syncs.
 * Where there are none they are not: DMA_API_DEBUG wants syncs behind an IOMMU.
 */
u32 rpp_bounce_pages(struct device *dev)
{
#ifdef CONFIG_SWIOTLB
	if (dev_is_dma_coherent(dev) && dev->dma_io_tlb_mem &&
	    dev->dma_io_tlb_mem->nslabs)
		return dev->dma_io_tlb_mem->nslabs >> (PAGE_SHIFT - IO_TLB_SHIFT);
#endif
	return U32_MAX;
}

/* Flags that a page in a pool never has. */
unsigned long rpp_page_flags_mask(void)
{
	return PAGE_FLAGS_CHECK_AT_PREP | __PG_HWPOISON;
}

/*
 * Clears what a former user of @page has left in its flags (a mapping into user
 * space, say), as the page allocator would. False: the page is not fit to be
 * used again, or somebody is charged for it. The caller owns @page, but memory
 * failure may set a flag any time.
 */
bool rpp_page_clean(struct page *page)
{
	const unsigned long unfit = PAGE_FLAGS_CHECK_AT_FREE | __PG_HWPOISON | BIT(PG_head);
	unsigned long flags = READ_ONCE(page->flags.f);

#ifdef CONFIG_MEMCG
	if (page->memcg_data)
		return false;
#endif
	do {
		if (flags & unfit)
			return false;
	} while (!try_cmpxchg(&page->flags.f, &flags,
			      flags & ~PAGE_FLAGS_CHECK_AT_PREP));
	return true;
}

void rpp_page_addresses(struct page *const *pages, unsigned long nr, void **addresses)
{
	while (nr--)
		addresses[nr] = page_address(pages[nr]);
}

void rpp_put_page(struct page *page)
{
	put_page(page);
}

/* To be asked of each mapping: DMA_API_DEBUG notes that it was. */
bool rpp_dma_mapping_error(struct device *dev, dma_addr_t dma)
{
	return dma_mapping_error(dev, dma);
}

/* Whether there may be a mapping of @dev that needs syncs. */
bool rpp_dma_dev_need_sync(struct device *dev)
{
	return dma_dev_need_sync(dev);
}

bool rpp_dma_need_sync(struct device *dev, dma_addr_t dma)
{
	return dma_need_sync(dev, dma);
}

void rpp_dma_sync_for_device(struct device *dev, dma_addr_t dma, size_t len,
			     enum dma_data_direction dir)
{
	dma_sync_single_for_device(dev, dma, len, dir);
}

void rpp_dma_sync_for_cpu(struct device *dev, dma_addr_t dma, size_t len,
			  enum dma_data_direction dir)
{
	/* There may be nothing but headers, elsewhere. DMA_API_DEBUG knows of no 0 bytes. */
	if (len)
		dma_sync_single_for_cpu(dev, dma, len, dir);
}

unsigned long rpp_local_irq_save(void)
{
	unsigned long flags;

	local_irq_save(flags);
	return flags;
}

void rpp_local_irq_restore(unsigned long flags)
{
	local_irq_restore(flags);
}

void rpp_cpu_relax(void)
{
	cpu_relax();
}

DEFINE_PER_CPU(unsigned long[RPP_SITES], rpp_hook_hits);

u64 rpp_hook_site_hits(enum rpp_hook_site site)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(rpp_hook_hits, cpu)[site]);
	return sum;
}
