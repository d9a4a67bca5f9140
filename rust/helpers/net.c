// SPDX-License-Identifier: GPL-2.0
/* Macros and static inlines that the net crate needs, by name. */
#include <linux/bpf_trace.h>
#include <linux/dma-mapping.h>
#include <linux/etherdevice.h>
#include <linux/filter.h>
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/jiffies.h>
#include <linux/mii.h>
#include <linux/pci.h>
#include <linux/rtnetlink.h>
#include <linux/tcp.h>
#include <linux/timer.h>
#include <linux/workqueue.h>
#include <net/page_pool/helpers.h>
#include <net/tcp.h>

/* The device */

void rnet_lock(struct net_device *dev)
{
	netdev_lock(dev);
}

void rnet_unlock(struct net_device *dev)
{
	netdev_unlock(dev);
}

/* The core sets the node when it registers the device, which is later. */
void rnet_affinity_auto(struct net_device *dev, struct device *parent)
{
	set_dev_node(&dev->dev, dev_to_node(parent));
	netif_set_affinity_auto(dev);
}

void rnet_priv_flags(struct net_device *dev, u32 flags)
{
	dev->priv_flags |= flags;
}

void rnet_random_mac(struct net_device *dev)
{
	eth_hw_addr_random(dev);
}

void rnet_sync_rx_mode(struct net_device *dev)
{
	netif_addr_lock_bh(dev);
	dev->netdev_ops->ndo_set_rx_mode_async(dev, &dev->uc, &dev->mc);
	netif_addr_unlock_bh(dev);
}

void rnet_work_setup(struct delayed_work *work, work_func_t func)
{
	INIT_DELAYED_WORK(work, func);
}

void rnet_work_schedule(struct delayed_work *work, u32 ms)
{
	schedule_delayed_work(work, msecs_to_jiffies(ms));
}

/* The link */

bool rnet_carrier_ok(struct net_device *dev)
{
	return netif_carrier_ok(dev);
}

void rnet_link_up(struct net_device *dev, u32 speed, bool full_duplex, bool rx, bool tx)
{
	netdev_info(dev, "NIC Link is Up %u Mbps %s Duplex, Flow Control: %s\n", speed,
		    full_duplex ? "Full" : "Half",
		    rx && tx ? "RX/TX" : rx ? "RX" : tx ? "TX" : "None");
}

void rnet_link_down(struct net_device *dev)
{
	netdev_info(dev, "NIC Link is Down\n");
}

u16 rnet_mii_advertise_pause(bool rx, bool tx)
{
	return mii_advertise_flowctrl((rx ? FLOW_CTRL_RX : 0) | (tx ? FLOW_CTRL_TX : 0));
}

void rnet_mii_resolve_pause(u16 ours, u16 theirs, bool *rx, bool *tx)
{
	u8 pause = mii_resolve_flowctrl_fdx(ours, theirs);

	*rx = pause & FLOW_CTRL_RX;
	*tx = pause & FLOW_CTRL_TX;
}

/* By which "ethtool -E" knows that it has the right card. */
u32 rnet_eeprom_magic(struct device *parent)
{
	struct pci_dev *pdev;

	if (!dev_is_pci(parent))
		return 0;
	pdev = to_pci_dev(parent);
	return pdev->vendor | pdev->device << 16;
}

/* Queues and NAPI */

void rnet_napi_add(struct net_device *dev, struct napi_struct *napi,
		   int (*poll)(struct napi_struct *, int), u32 index)
{
	memset(napi, 0, sizeof(*napi));
	netif_napi_add_config(dev, napi, poll, index);
}

/* Once more, and not any more, under the device's lock. */
void rnet_napi_add_again(struct napi_struct *napi, u32 index)
{
	struct net_device *dev = napi->dev;
	int (*poll)(struct napi_struct *, int) = napi->poll;

	memset(napi, 0, sizeof(*napi));
	netif_napi_add_config_locked(dev, napi, poll, index);
}

void rnet_timer_setup(struct timer_list *timer, void (*func)(struct timer_list *))
{
	memset(timer, 0, sizeof(*timer));
	timer_setup(timer, func, 0);
}

/* Transmit queues */

struct netdev_queue *rnet_tx_queue(struct net_device *dev, u32 index)
{
	return netdev_get_tx_queue(dev, index);
}

void rnet_tx_lock(struct netdev_queue *txq)
{
	__netif_tx_lock(txq, smp_processor_id());
}

bool rnet_tx_trylock(struct netdev_queue *txq)
{
	return __netif_tx_trylock(txq);
}

void rnet_tx_unlock(struct netdev_queue *txq)
{
	__netif_tx_unlock(txq);
}

/* The same from process context. */
void rnet_tx_lock_bh(struct netdev_queue *txq)
{
	__netif_tx_lock_bh(txq);
}

void rnet_tx_unlock_bh(struct netdev_queue *txq)
{
	__netif_tx_unlock_bh(txq);
}

void rnet_tx_reset(struct netdev_queue *txq)
{
	netdev_tx_reset_queue(txq);
}

void rnet_tx_stop(struct netdev_queue *txq)
{
	netif_tx_stop_queue(txq);
}

void rnet_tx_start_all(struct net_device *dev)
{
	netif_tx_start_all_queues(dev);
}

bool rnet_tx_sent(struct netdev_queue *txq, u32 bytes, bool more)
{
	return __netdev_tx_sent_queue(txq, bytes, more);
}

void rnet_tx_completed(struct netdev_queue *txq, u32 packets, u32 bytes)
{
#ifdef CONFIG_BQL
	/* More than was sent would be a BUG(). */
	bytes = min(bytes, txq->dql.num_queued - txq->dql.num_completed);
#endif
	netdev_tx_completed_queue(txq, packets, bytes);
	/*
	 * XDP shares the queue, and can keep the stack from sending for long. A
	 * device that completes is alive, whatever the watchdog thinks.
	 */
	txq_trans_cond_update(txq);
}

bool rnet_xmit_more(void)
{
	return netdev_xmit_more();
}

/* sk_buff */

/* On failure the skb is still the caller's. */
int rnet_skb_pad(struct sk_buff *skb, u32 len)
{
	return __skb_put_padto(skb, len, false);
}

/*
 * For a device that divides: what depends on the length of a frame is not in the headers,
 * and the sum over the pseudo header is without it. The length of the TCP header, or an error.
 */
int rnet_skb_prepare_tso(struct sk_buff *skb, bool *ipv6)
{
	u32 len = skb->len - skb_transport_offset(skb);
	int err = skb_cow_head(skb, 0);

	if (err)
		return err;
	*ipv6 = skb_is_gso_v6(skb);
	if (*ipv6) {
		ipv6_hdr(skb)->payload_len = 0;
	} else {
		ip_hdr(skb)->tot_len = 0;
		ip_hdr(skb)->check = 0;
	}
	csum_replace_by_diff(&tcp_hdr(skb)->check, (__force __wsum)htonl(len));
	return tcp_hdrlen(skb);
}

/*
 * The skb goes on in a buffer of @size bytes, whose reference is the skb's then.
 * false: there is no room in the list.
 */
bool rnet_skb_add(struct sk_buff *skb, void *data, u32 len, u32 size)
{
	u32 n = skb_shinfo(skb)->nr_frags;

	if (unlikely(n >= MAX_SKB_FRAGS))
		return false;
	skb_add_rx_frag_netmem(skb, n, virt_to_netmem(data), offset_in_page(data), len, size);
	return true;
}

netdev_features_t rnet_vlan_features_check(struct sk_buff *skb, netdev_features_t features)
{
	return vlan_features_check(skb, features);
}

/* A piece of a packet that is not in its head; U64_MAX if it cannot be mapped. */
u64 rnet_dma_map_frag(struct device *dev, const struct skb_shared_info *info, u32 index, u32 *len)
{
	const skb_frag_t *frag = &info->frags[index];
	dma_addr_t addr;

	*len = skb_frag_size(frag);
	addr = skb_frag_dma_map(dev, frag, 0, *len, DMA_TO_DEVICE);
	return dma_mapping_error(dev, addr) ? U64_MAX : addr;
}

void rnet_skb_tx_timestamp(struct sk_buff *skb)
{
	skb_tx_timestamp(skb);
}

/* The kernel's page pool */

struct page *rnet_pp_alloc(struct page_pool *pool, u32 size, u64 *dma, void **start)
{
	unsigned int offset = 0;
	struct page *page = size == PAGE_SIZE ? page_pool_dev_alloc_pages(pool) :
						page_pool_dev_alloc_frag(pool, &offset, size);

	if (likely(page)) {
		*dma = page_pool_get_dma_addr(page) + offset;
		*start = page_address(page) + offset;
	}
	return page;
}

void rnet_pp_sync_for_cpu(struct page_pool *pool, struct page *page, void *data, u32 len)
{
	if (len)
		page_pool_dma_sync_for_cpu(pool, page, offset_in_page(data) - pool->p.offset, len);
}

void rnet_pp_sync_for_device(struct page_pool *pool, struct page *page, void *data, u32 len)
{
	dma_sync_single_range_for_device(pool->p.dev, page_pool_get_dma_addr(page),
					 offset_in_page(data), len, pool->p.dma_dir);
}

/* In the poll of the pool's NAPI instance. */
void rnet_pp_recycle(struct page_pool *pool, struct page *page)
{
	page_pool_recycle_direct(pool, page);
}

void rnet_pp_put(struct page *page)
{
	page_pool_put_full_page(pp_page_to_nmdesc(page)->pp, page, false);
}

/* In the order of page_pool_ethtool_stats_get(). */
void rnet_pp_stats(struct page_pool *pool, u64 *values)
{
#ifdef CONFIG_PAGE_POOL_STATS
	struct page_pool_stats stats = {};

	page_pool_get_stats(pool, &stats);
	page_pool_ethtool_stats_get(values, &stats);
#endif
}

/* Pages that are mapped one by one */

struct page *rnet_page_alloc(struct device *dev, u64 *dma, void **start)
{
	struct page *page = dev_alloc_page();

	if (unlikely(!page))
		return NULL;
	*dma = dma_map_page(dev, page, 0, PAGE_SIZE, DMA_BIDIRECTIONAL);
	if (unlikely(dma_mapping_error(dev, *dma))) {
		__free_page(page);
		return NULL;
	}
	*start = page_address(page);
	return page;
}

/* XDP */

static noinline u32 xdp_run_observed(struct bpf_prog *prog,
				     struct xdp_buff *xdp)
{
	return bpf_prog_run_xdp(prog, xdp);
}

/*
 * Without statistics and bonds that is a call and nothing else; with them, compiled
 * into one function, each packet would save and restore four registers.
 */
u32 rnet_xdp_run(struct bpf_prog *prog, struct xdp_buff *xdp)
{
	if (static_branch_unlikely(&bpf_stats_enabled_key) ||
	    static_branch_unlikely(&bpf_master_redirect_enabled_key))
		return xdp_run_observed(prog, xdp);
	return BPF_DISPATCHER_FUNC(xdp)(xdp, prog->insnsi, prog->bpf_func);
}

void rnet_xdp_exception(struct net_device *dev, struct bpf_prog *prog, u32 act)
{
	trace_xdp_exception(dev, prog, act);
}

/*
 * A packet goes on in another buffer, of @size bytes, whose reference is the packet's then.
 * false: there is no room in the list.
 */
bool rnet_xdp_add(struct xdp_buff *xdp, void *data, u32 len, u32 size)
{
	return xdp_buff_add_frag(xdp, virt_to_netmem(data), offset_in_page(data), len, size);
}

/* NULL if its headroom is used up. */
struct xdp_frame *rnet_xdp_frame(struct xdp_buff *xdp)
{
	return xdp_convert_buff_to_frame(xdp);
}

/* Streaming DMA of transmit buffers. 0 cannot be told from an address. */

u64 rnet_dma_map_tx(struct device *dev, void *data, u32 len)
{
	dma_addr_t addr = dma_map_single(dev, data, len, DMA_TO_DEVICE);

	return dma_mapping_error(dev, addr) ? U64_MAX : addr;
}
