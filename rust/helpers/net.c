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

int rnet_dev_to_node(struct device *dev)
{
	return dev_to_node(dev);
}

/* The core sets the node when it registers the device, which is later. */
void rnet_affinity_auto(struct net_device *dev, struct device *parent)
{
	set_dev_node(&dev->dev, dev_to_node(parent));
	netif_set_affinity_auto(dev);
}

bool rnet_running(struct net_device *dev)
{
	return netif_running(dev) && netif_device_present(dev);
}

void rnet_live_addr_change(struct net_device *dev)
{
	dev->priv_flags |= IFF_LIVE_ADDR_CHANGE;
}

void rnet_unicast_filter(struct net_device *dev)
{
	dev->priv_flags |= IFF_UNICAST_FLT;
}

bool rnet_rxfh_configured(const struct net_device *dev)
{
	return netif_is_rxfh_configured(dev);
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

/*
 * A poll that has ended a moment before napi_disable() may arm the timer after it. Nobody
 * does any more when this is called, which is after an RCU grace period.
 */
void rnet_napi_del_locked(struct napi_struct *napi)
{
	hrtimer_cancel(&napi->timer);
	netif_napi_del_locked(napi);
}

void rnet_napi_del(struct napi_struct *napi)
{
	hrtimer_cancel(&napi->timer);
	netif_napi_del(napi);
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

u16 rnet_skb_queue(const struct sk_buff *skb)
{
	return skb_get_queue_mapping(skb);
}

/*
 * A packet for the stack, with its metadata in front of @data, and an Ethernet header at
 * least. In the poll of @napi.
 */
struct rnet_packet {
	struct napi_struct *napi;
	void *data;
	u32 len;
	u32 metasize;
	u32 queue;
	u32 flags;
	u32 surcharge;	/* bytes that @data's buffer keeps from others */
	u32 hash;
	u32 vlan;
};

/* The device has verified its checksum. */
#define RNET_PACKET_CSUM_OK	0x1
/* Its page is the kernel's page pool's. */
#define RNET_PACKET_PP		0x2
/* The device has computed @hash: of the addresses, or of the ports as well. */
#define RNET_PACKET_HASH	0x4
#define RNET_PACKET_HASH_PORTS	0x8
/* The device has taken out @vlan, which is a tag. */
#define RNET_PACKET_VLAN	0x10
/* There are @metasize bytes of metadata in front of it. */
#define RNET_PACKET_META	0x20

/* What is known, as far as somebody wants it. */
static __always_inline void note(const struct rnet_packet *packet, struct sk_buff *skb)
{
	u32 flags = packet->flags;

	if (flags & RNET_PACKET_CSUM_OK)
		skb->ip_summed = CHECKSUM_UNNECESSARY;
	if (flags & RNET_PACKET_HASH)
		__skb_set_hash(skb, packet->hash, false, flags & RNET_PACKET_HASH_PORTS);
	/* One look for what is seldom. */
	if (likely(!(flags & (RNET_PACKET_VLAN | RNET_PACKET_META | RNET_PACKET_PP))))
		return;
	if (flags & RNET_PACKET_VLAN)
		__vlan_hwaccel_put_tag(skb, htons(ETH_P_8021Q), packet->vlan);
	if (flags & RNET_PACKET_META)
		skb_metadata_set(skb, packet->metasize);
	if (flags & RNET_PACKET_PP)
		skb_mark_for_recycle(skb);
}

/*
 * What is known about a packet is noted here, however its skb was made. (The core
 * adds the NAPI instance.)
 */
static __always_inline int receive(const struct rnet_packet *packet,
				   struct sk_buff *skb)
{
	struct napi_struct *napi = packet->napi;
	struct net_device *dev = napi->dev;

	note(packet, skb);
	skb_record_rx_queue(skb, packet->queue);
	skb->protocol = eth_type_trans(skb, dev);
	return napi_gro_receive(napi, skb);
}

/*
 * The stack gets a packet in its buffer, of @size bytes and at a multiple of them. It is
 * the skb's head and goes back as that: by put_page(), or to the kernel's page pool.
 * Negative: no memory, and the buffer is still the caller's.
 */
int rnet_receive_page(const struct rnet_packet *packet, u32 size)
{
	u32 offset = (unsigned long)packet->data & (size - 1);
	struct sk_buff *skb = napi_build_skb(packet->data - offset, size);

	if (unlikely(!skb))
		return -ENOMEM;
	/* It is empty, and linear: nothing for skb_reserve() and __skb_put() to look at. */
	skb->data = packet->data;
	skb->len = packet->len;
	skb_set_tail_pointer(skb, packet->len);
	skb->truesize += packet->surcharge;
	return receive(packet, skb);
}

/*
 * The stack gets a copy of a packet. Negative: no memory.
 *
 * Not napi_alloc_skb(): it takes what is no small head from fragments of order-3
 * pages, and one packet that is kept keeps the 32 KiB. Slab objects do not: what is
 * free beside them is used again.
 */
int rnet_receive_copy(const struct rnet_packet *packet)
{
	unsigned int headroom = NET_SKB_PAD + NET_IP_ALIGN;
	u32 metasize = packet->flags & RNET_PACKET_META ? packet->metasize : 0;
	u32 len = metasize + packet->len;
	struct sk_buff *skb = __alloc_skb(headroom + len,
					  GFP_ATOMIC | __GFP_NOWARN,
					  SKB_ALLOC_RX | SKB_ALLOC_NAPI,
					  NUMA_NO_NODE);

	if (unlikely(!skb))
		return -ENOMEM;
	skb_reserve(skb, headroom);
	skb_put_data(skb, packet->data - metasize, len);
	__skb_pull(skb, metasize);
	return receive(packet, skb);
}

/* As rnet_receive_page(), of a packet that may be in several buffers. */
int rnet_receive_buff(const struct rnet_packet *packet, const struct xdp_buff *xdp)
{
	struct sk_buff *skb = xdp_build_skb_from_buff(xdp);

	if (unlikely(!skb))
		return -ENOMEM;
	skb->truesize += packet->surcharge;
	note(packet, skb);
	return napi_gro_receive(packet->napi, skb);
}

/* As rnet_receive_copy(), of a packet that may be in several buffers. */
int rnet_receive_buff_copy(const struct rnet_packet *packet, const struct xdp_buff *xdp)
{
	const struct skb_shared_info *info = xdp_get_shared_info_from_buff(xdp);
	unsigned int headroom = NET_SKB_PAD + NET_IP_ALIGN;
	u32 metasize = xdp->data - xdp->data_meta, at = packet->len, i;
	u32 rest = xdp_get_buff_len(xdp) - packet->len;
	struct sk_buff *skb;
	int err;

	skb = alloc_skb_with_frags(headroom + metasize + packet->len, rest, 0, &err,
				   GFP_ATOMIC | __GFP_NOWARN);
	if (unlikely(!skb))
		return -ENOMEM;
	skb_reserve(skb, headroom);
	skb_put_data(skb, xdp->data_meta, metasize + packet->len);
	if (metasize) {
		skb_metadata_set(skb, metasize);
		__skb_pull(skb, metasize);
	}
	skb->data_len = rest;
	skb->len += rest;
	for (i = 0; rest && i < info->nr_frags; i++) {
		u32 len = skb_frag_size(&info->frags[i]);

		skb_store_bits(skb, at, skb_frag_address(&info->frags[i]), len);
		at += len;
	}
	return receive(packet, skb);
}

/* On failure the skb is still the caller's. */
int rnet_skb_pad(struct sk_buff *skb, u32 len)
{
	return __skb_put_padto(skb, len, false);
}

/* What the stack has left to the device. */
struct rnet_offload {
	u16 flags;
	u16 link;	/* bytes of each header */
	u16 network;
	u16 transport;
	u16 payload;	/* of each frame that it is divided into */
	u16 vlan;
};

#define RNET_OFFLOAD_TCP	0x1
#define RNET_OFFLOAD_UDP	0x2
#define RNET_OFFLOAD_SEGMENTS	0x4
#define RNET_OFFLOAD_IPV6	0x8
#define RNET_OFFLOAD_VLAN	0x10

/*
 * For a device that divides: what depends on the length of a frame is not in the headers,
 * and the sum over the pseudo header is without it.
 */
static int prepare_segments(struct sk_buff *skb, struct rnet_offload *offload)
{
	u32 len = skb->len - skb_transport_offset(skb);
	int err = skb_cow_head(skb, 0);

	if (err)
		return err;
	offload->flags |= RNET_OFFLOAD_SEGMENTS;
	offload->payload = skb_shinfo(skb)->gso_size;
	offload->transport = tcp_hdrlen(skb);
	if (skb_is_gso_v6(skb)) {
		offload->flags |= RNET_OFFLOAD_IPV6;
		ipv6_hdr(skb)->payload_len = 0;
	} else {
		ip_hdr(skb)->tot_len = 0;
		ip_hdr(skb)->check = 0;
	}
	csum_replace_by_diff(&tcp_hdr(skb)->check, (__force __wsum)htonl(len));
	return 0;
}

/*
 * Zeroed before. The core asks for nothing but what the features say: checksums of TCP and
 * UDP, and TCP segmentation. Negative: it cannot be had.
 */
int rnet_skb_offload(struct sk_buff *skb, struct rnet_offload *offload)
{
	if (skb_vlan_tag_present(skb)) {
		offload->flags |= RNET_OFFLOAD_VLAN;
		offload->vlan = skb_vlan_tag_get(skb);
		offload->link = ETH_HLEN;
	}
	if (skb->ip_summed != CHECKSUM_PARTIAL)
		return 0;
	offload->link = skb_network_offset(skb);
	offload->network = skb_checksum_start_offset(skb) - offload->link;
	offload->flags |= skb->csum_offset == offsetof(struct tcphdr, check) ? RNET_OFFLOAD_TCP :
									       RNET_OFFLOAD_UDP;
	return skb_is_gso(skb) ? prepare_segments(skb, offload) : 0;
}

/* What a device can do to a packet, whose headers it may find too long. */
netdev_features_t rnet_features_check(struct sk_buff *skb, netdev_features_t features,
				      u32 link, u32 network)
{
	/* Negative ones are too large as well. */
	u32 start = skb_network_offset(skb);

	if (skb->ip_summed == CHECKSUM_PARTIAL &&
	    (start > link || skb_checksum_start_offset(skb) - start > network))
		features &= ~(NETIF_F_CSUM_MASK | NETIF_F_GSO_MASK);
	return vlan_features_check(skb, features);
}

/* What a packet that the device has divided was on the wire. */
void rnet_skb_on_wire(const struct sk_buff *skb, u32 *packets, u32 *bytes)
{
	*packets = 1;
	*bytes = skb->len;
	if (skb_is_gso(skb)) {
		*packets = max(skb_shinfo(skb)->gso_segs, 1);
		*bytes += (*packets - 1) * skb_tcp_all_headers(skb);
	}
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

u32 rnet_xdp_frame_len(const struct xdp_frame *frame)
{
	return xdp_get_frame_len(frame);
}

/* Where the room for its data ends, and what lists its other buffers is. */
struct skb_shared_info *rnet_xdp_frame_end(const struct xdp_frame *frame)
{
	return xdp_get_shared_info_from_frame(frame);
}

/* Whether a program takes packets in several buffers. */
bool rnet_xdp_has_frags(const struct bpf_prog *prog)
{
	return prog->aux->xdp_has_frags;
}

/* Streaming DMA of transmit buffers. 0 cannot be told from an address. */

u64 rnet_dma_map_tx(struct device *dev, void *data, u32 len)
{
	dma_addr_t addr = dma_map_single(dev, data, len, DMA_TO_DEVICE);

	return dma_mapping_error(dev, addr) ? U64_MAX : addr;
}
