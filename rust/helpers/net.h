/* SPDX-License-Identifier: GPL-2.0 */
/* Macros and static inlines that the net crate needs, by name. */
#ifndef _RUST_NET_HELPERS_H
#define _RUST_NET_HELPERS_H

#include <linux/netdevice.h>
#include <linux/timer.h>
#include <linux/workqueue.h>
#include <net/xdp.h>

u32 rnet_buffers(void);
void rnet_lock(struct net_device *dev);
void rnet_unlock(struct net_device *dev);
bool rnet_running(struct net_device *dev);
void rnet_live_addr_change(struct net_device *dev);
bool rnet_set_mac(struct net_device *dev, const u8 *addr);
void rnet_unregister(struct net_device *dev);
void rnet_sync_rx_mode(struct net_device *dev);
void rnet_work_setup(struct delayed_work *work, work_func_t func);
void rnet_work_schedule(struct delayed_work *work, u32 ms);
void rnet_napi_add(struct net_device *dev, struct napi_struct *napi,
		   int (*poll)(struct napi_struct *, int), u32 index);
void rnet_napi_del(struct napi_struct *napi);
void rnet_queue_set_napi(struct net_device *dev, u32 index,
			 struct napi_struct *napi);
int rnet_rxq_reg(struct xdp_rxq_info *rxq, struct net_device *dev, u32 index,
		 enum xdp_mem_type type, void *allocator);
void rnet_timer_setup(struct timer_list *timer,
		      void (*func)(struct timer_list *));
void rnet_timer_start(struct timer_list *timer, u32 ms);
struct netdev_queue *rnet_tx_queue(struct net_device *dev, u32 index);
void rnet_tx_lock(struct netdev_queue *txq);
bool rnet_tx_trylock(struct netdev_queue *txq);
void rnet_tx_unlock(struct netdev_queue *txq);
void rnet_tx_lock_bh(struct netdev_queue *txq);
void rnet_tx_unlock_bh(struct netdev_queue *txq);
void rnet_tx_disable(struct net_device *dev);
void rnet_tx_reset(struct netdev_queue *txq);
void rnet_tx_stop(struct netdev_queue *txq);
bool rnet_tx_sent(struct netdev_queue *txq, u32 bytes, bool more);
void rnet_tx_completed(struct netdev_queue *txq, u32 packets, u32 bytes);
bool rnet_xmit_more(void);
u16 rnet_skb_queue(const struct sk_buff *skb);
struct sk_buff *rnet_skb_build(void *start, u32 size, u32 offset, u32 len,
			       u32 metasize);
struct sk_buff *rnet_skb_copy(const void *data, u32 len, u32 metasize);
void rnet_skb_receive(struct napi_struct *napi, struct sk_buff *skb, u32 queue,
		      bool csum_ok);
int rnet_skb_pad(struct sk_buff *skb);
void rnet_skb_tx_timestamp(struct sk_buff *skb);
void rnet_skb_drop(struct sk_buff *skb, u32 reason);
void rnet_skb_consume(struct sk_buff *skb, int budget);
struct page_pool *rnet_pp_create(struct device *dev, struct net_device *netdev,
				 u32 queue, u32 size, u32 offset, u32 max_len);
struct page *rnet_pp_alloc(struct page_pool *pool, u64 *dma, void **start);
void rnet_pp_sync_for_cpu(struct page_pool *pool, struct page *page, u32 len);
void rnet_pp_sync_for_device(struct page_pool *pool, struct page *page,
			     u32 offset, u32 len);
void rnet_pp_recycle(struct page_pool *pool, struct page *page);
void rnet_pp_put(struct page *page);
void rnet_pp_mark(struct sk_buff *skb);
void rnet_pp_stats(struct page_pool *pool, u64 *values);
struct page *rnet_page_alloc(struct device *dev, u64 *dma, void **start);
void rnet_page_sync_for_cpu(struct device *dev, u64 dma, u32 len);
void rnet_page_sync_for_device(struct device *dev, u64 dma, u32 offset, u32 len);
void rnet_page_unmap(struct device *dev, u64 dma);
u32 rnet_xdp_run(struct bpf_prog *prog, struct xdp_buff *xdp);
void rnet_xdp_exception(struct net_device *dev, struct bpf_prog *prog, u32 act);
bool rnet_xdp_frame_is_linear(struct xdp_frame *frame);
void *rnet_xdp_frame_end(struct xdp_frame *frame);
u64 rnet_dma_map_tx(struct device *dev, void *data, u32 len);
void rnet_dma_unmap_tx(struct device *dev, u64 addr, u32 len);

/* Bytes in front of a packet; what the page pool says. */
#define RNET_HEADROOM 256

static const netdev_features_t RNET_F_HIGHDMA = NETIF_F_HIGHDMA;
static const netdev_features_t RNET_F_RXCSUM = NETIF_F_RXCSUM;

#endif
