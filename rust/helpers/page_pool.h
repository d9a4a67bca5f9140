/* SPDX-License-Identifier: GPL-2.0 */
/* Macros and static inlines that the page pool needs, by name. */
#ifndef _RPP_PAGE_POOL_H
#define _RPP_PAGE_POOL_H

#include <linux/dma-direction.h>
#include <linux/types.h>

struct device;
struct page;

bool rpp_in_hardirq(void);
bool rpp_irqs_disabled(void);
unsigned int rpp_cpu(void);
void rpp_local_bh_disable(void);
void rpp_local_bh_enable(void);
void rpp_local_bh_enable_irqs_off(void);

unsigned long rpp_alloc_pages_bulk(struct device *dev, gfp_t gfp,
				   unsigned long nr, struct page **pages);
void rpp_put_pages(struct page **pages, unsigned long nr);
gfp_t rpp_dma_zone(struct device *dev);
u32 rpp_bounce_pages(struct device *dev);
unsigned long rpp_page_flags_mask(void);
bool rpp_page_clean(struct page *page);
void rpp_page_addresses(struct page *const *pages, unsigned long nr,
			void **addresses);
void rpp_put_page(struct page *page);
bool rpp_dma_mapping_error(struct device *dev, dma_addr_t dma);
bool rpp_dma_dev_need_sync(struct device *dev);
bool rpp_dma_need_sync(struct device *dev, dma_addr_t dma);
void rpp_dma_sync_for_device(struct device *dev, dma_addr_t dma, size_t len,
			     enum dma_data_direction dir);
void rpp_dma_sync_for_cpu(struct device *dev, dma_addr_t dma, size_t len,
			  enum dma_data_direction dir);
unsigned long rpp_local_irq_save(void);
void rpp_local_irq_restore(unsigned long flags);
void rpp_cpu_relax(void);

#endif
