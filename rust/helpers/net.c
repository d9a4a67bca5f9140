// SPDX-License-Identifier: GPL-2.0
/*
 * The C half of the net crate.
 *
 * The ops tables stay in C because some of their callbacks return enums, whose
 * kCFI type Rust cannot state. Everything that decides something is in Rust
 * (rust/net); here a callback only finds the Rust object and calls it.
 */
#include <linux/bpf_trace.h>
#include <linux/dma-mapping.h>
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/interrupt.h>
#include <linux/linkmode.h>
#include <linux/rtnetlink.h>

#include "net.h"

struct rnet_priv *rnet_priv(struct net_device *dev)
{
	return netdev_priv(dev);
}
EXPORT_SYMBOL_GPL(rnet_priv);

/* net_device_ops */

static int rnet_open(struct net_device *dev)
{
	struct rnet_priv *priv = netdev_priv(dev);

	return priv->vt->open(priv->core);
}

static int rnet_stop(struct net_device *dev)
{
	struct rnet_priv *priv = netdev_priv(dev);

	return priv->vt->stop(priv->core);
}

static netdev_tx_t rnet_start_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct rnet_priv *priv = netdev_priv(dev);

	if (priv->vt->start_xmit(priv->core, skb, netdev_xmit_more()))
		return NETDEV_TX_BUSY;
	return NETDEV_TX_OK;
}

static int rnet_xdp_xmit(struct net_device *dev, int n,
			 struct xdp_frame **frames, u32 flags)
{
	struct rnet_priv *priv = netdev_priv(dev);

	return priv->vt->xdp_xmit(priv->core, n, frames, flags);
}

static int rnet_set_rx_mode(struct net_device *dev,
			    struct netdev_hw_addr_list *uc,
			    struct netdev_hw_addr_list *mc)
{
	struct rnet_priv *priv = netdev_priv(dev);

	return priv->vt->set_rx_mode(priv->core, dev->flags, mc);
}

static int rnet_set_mac_address(struct net_device *dev, void *addr)
{
	struct rnet_priv *priv = netdev_priv(dev);
	struct sockaddr *sa = addr;
	int err;

	err = eth_prepare_mac_addr_change(dev, addr);
	if (err)
		return err;
	err = priv->vt->set_mac(priv->core, sa->sa_data);
	if (err)
		return err;
	eth_commit_mac_addr_change(dev, addr);
	return 0;
}

static int rnet_change_mtu(struct net_device *dev, int mtu)
{
	struct rnet_priv *priv = netdev_priv(dev);
	int err;

	if (priv->prog && mtu > priv->xdp_max_mtu) {
		netdev_warn(dev, "MTU above %u is not possible with an XDP program\n",
			    priv->xdp_max_mtu);
		return -EINVAL;
	}
	err = priv->vt->change_mtu(priv->core, mtu);
	if (!err)
		WRITE_ONCE(dev->mtu, mtu);
	return err;
}

static void rnet_get_stats64(struct net_device *dev,
			     struct rtnl_link_stats64 *storage)
{
	struct rnet_priv *priv = netdev_priv(dev);

	priv->vt->get_stats(priv->core, storage);
}

static void rnet_tx_timeout(struct net_device *dev, unsigned int txqueue)
{
	struct rnet_priv *priv = netdev_priv(dev);

	/* The rings are rebuilt, which sleeps; this is a timer. */
	schedule_work(&priv->reset_work);
}

static void rnet_reset_work(struct work_struct *work)
{
	struct rnet_priv *priv = container_of(work, struct rnet_priv, reset_work);

	rtnl_lock();
	if (netif_running(priv->dev) && netif_device_present(priv->dev))
		priv->vt->reset(priv->core);
	rtnl_unlock();
}

static int rnet_bpf(struct net_device *dev, struct netdev_bpf *bpf)
{
	struct rnet_priv *priv = netdev_priv(dev);
	struct bpf_prog *old;

	switch (bpf->command) {
	case XDP_SETUP_PROG:
		if (bpf->prog && dev->mtu > priv->xdp_max_mtu) {
			NL_SET_ERR_MSG_MOD(bpf->extack,
					   "MTU too large for XDP: a frame has to fit one buffer");
			return -EINVAL;
		}
		/*
		 * A poll that has read the old program still runs it: it is
		 * freed after an RCU grace period, and poll is such a reader.
		 */
		old = xchg(&priv->prog, bpf->prog);
		if (old)
			bpf_prog_put(old);
		return 0;
	default:
		return -EINVAL;
	}
}

static const struct net_device_ops rnet_netdev_ops = {
	.ndo_open		= rnet_open,
	.ndo_stop		= rnet_stop,
	.ndo_start_xmit		= rnet_start_xmit,
	.ndo_set_rx_mode_async	= rnet_set_rx_mode,
	.ndo_set_mac_address	= rnet_set_mac_address,
	.ndo_validate_addr	= eth_validate_addr,
	.ndo_change_mtu		= rnet_change_mtu,
	.ndo_get_stats64	= rnet_get_stats64,
	.ndo_tx_timeout		= rnet_tx_timeout,
	.ndo_bpf		= rnet_bpf,
	.ndo_xdp_xmit		= rnet_xdp_xmit,
};

/* ethtool_ops */

static void rnet_get_ringparam(struct net_device *dev,
			       struct ethtool_ringparam *ring,
			       struct kernel_ethtool_ringparam *kring,
			       struct netlink_ext_ack *extack)
{
	struct rnet_priv *priv = netdev_priv(dev);

	priv->vt->get_rings(priv->core, &ring->rx_pending, &ring->tx_pending,
			    &ring->rx_max_pending, &ring->tx_max_pending);
}

static int rnet_set_ringparam(struct net_device *dev,
			      struct ethtool_ringparam *ring,
			      struct kernel_ethtool_ringparam *kring,
			      struct netlink_ext_ack *extack)
{
	struct rnet_priv *priv = netdev_priv(dev);

	return priv->vt->set_rings(priv->core, ring->rx_pending,
				   ring->tx_pending);
}

static int rnet_get_sset_count(struct net_device *dev, int sset)
{
	struct rnet_priv *priv = netdev_priv(dev);

	if (sset != ETH_SS_STATS)
		return -EOPNOTSUPP;
	return priv->vt->stat_count(priv->core);
}

static void rnet_get_strings(struct net_device *dev, u32 sset, u8 *data)
{
	struct rnet_priv *priv = netdev_priv(dev);

	if (sset == ETH_SS_STATS)
		priv->vt->stat_names(priv->core, data);
}

static void rnet_get_ethtool_stats(struct net_device *dev,
				   struct ethtool_stats *stats, u64 *data)
{
	struct rnet_priv *priv = netdev_priv(dev);

	priv->vt->stat_values(priv->core, data);
}

static int rnet_get_link_ksettings(struct net_device *dev,
				   struct ethtool_link_ksettings *cmd)
{
	struct rnet_priv *priv = netdev_priv(dev);
	u32 speed = SPEED_UNKNOWN;
	u8 full = 0;

	ethtool_link_ksettings_zero_link_mode(cmd, supported);
	ethtool_link_ksettings_add_link_mode(cmd, supported, TP);
	ethtool_link_ksettings_add_link_mode(cmd, supported, Autoneg);
	ethtool_link_ksettings_add_link_mode(cmd, supported, 10baseT_Half);
	ethtool_link_ksettings_add_link_mode(cmd, supported, 10baseT_Full);
	ethtool_link_ksettings_add_link_mode(cmd, supported, 100baseT_Half);
	ethtool_link_ksettings_add_link_mode(cmd, supported, 100baseT_Full);
	ethtool_link_ksettings_add_link_mode(cmd, supported, 1000baseT_Full);
	linkmode_copy(cmd->link_modes.advertising, cmd->link_modes.supported);
	cmd->base.port = PORT_TP;
	cmd->base.autoneg = AUTONEG_ENABLE;
	cmd->base.speed = SPEED_UNKNOWN;
	cmd->base.duplex = DUPLEX_UNKNOWN;
	if (netif_carrier_ok(dev) &&
	    !priv->vt->link_speed(priv->core, &speed, &full)) {
		cmd->base.speed = speed;
		cmd->base.duplex = full ? DUPLEX_FULL : DUPLEX_HALF;
	}
	return 0;
}

static const struct ethtool_ops rnet_ethtool_ops = {
	.get_link		= ethtool_op_get_link,
	.get_link_ksettings	= rnet_get_link_ksettings,
	.get_ringparam		= rnet_get_ringparam,
	.set_ringparam		= rnet_set_ringparam,
	.get_sset_count		= rnet_get_sset_count,
	.get_strings		= rnet_get_strings,
	.get_ethtool_stats	= rnet_get_ethtool_stats,
	.get_ts_info		= ethtool_op_get_ts_info,
};

/* Registration */

static int rnet_poll(struct napi_struct *napi, int budget)
{
	struct rnet_priv *priv = container_of(napi, struct rnet_priv, napi);

	return priv->vt->poll(priv->core, budget);
}

struct net_device *rnet_alloc(struct device *parent,
			      const struct rnet_vtable *vt, void *core)
{
	struct net_device *dev = alloc_etherdev(sizeof(struct rnet_priv));
	struct rnet_priv *priv;

	if (!dev)
		return NULL;
	SET_NETDEV_DEV(dev, parent);
	dev->netdev_ops = &rnet_netdev_ops;
	dev->ethtool_ops = &rnet_ethtool_ops;
	dev->watchdog_timeo = 5 * HZ;
	dev->priv_flags |= IFF_LIVE_ADDR_CHANGE;
	dev->features |= NETIF_F_HIGHDMA;
	dev->hw_features |= NETIF_F_RXCSUM;
	dev->features |= NETIF_F_RXCSUM;
	xdp_set_features_flag(dev, NETDEV_XDP_ACT_BASIC |
			      NETDEV_XDP_ACT_REDIRECT | NETDEV_XDP_ACT_NDO_XMIT);

	priv = netdev_priv(dev);
	priv->vt = vt;
	priv->core = core;
	priv->dev = dev;
	INIT_WORK(&priv->reset_work, rnet_reset_work);
	netif_napi_add(dev, &priv->napi, rnet_poll);
	return dev;
}
EXPORT_SYMBOL_GPL(rnet_alloc);

void rnet_set_mtu_range(struct net_device *dev, u32 max, u32 xdp_max)
{
	struct rnet_priv *priv = netdev_priv(dev);

	dev->min_mtu = ETH_MIN_MTU;
	dev->max_mtu = max;
	priv->xdp_max_mtu = xdp_max;
}
EXPORT_SYMBOL_GPL(rnet_set_mtu_range);

void rnet_set_mac(struct net_device *dev, const u8 *addr)
{
	if (is_valid_ether_addr(addr)) {
		eth_hw_addr_set(dev, addr);
		return;
	}
	netdev_warn(dev, "no valid MAC address in the device, using a random one\n");
	eth_hw_addr_random(dev);
}
EXPORT_SYMBOL_GPL(rnet_set_mac);

void rnet_get_mac(struct net_device *dev, u8 *addr)
{
	ether_addr_copy(addr, dev->dev_addr);
}
EXPORT_SYMBOL_GPL(rnet_get_mac);

u32 rnet_get_mtu(struct net_device *dev)
{
	return dev->mtu;
}
EXPORT_SYMBOL_GPL(rnet_get_mtu);

int rnet_register(struct net_device *dev)
{
	netif_carrier_off(dev);
	return register_netdev(dev);
}
EXPORT_SYMBOL_GPL(rnet_register);

void rnet_unregister(struct net_device *dev)
{
	struct rnet_priv *priv = netdev_priv(dev);

	if (dev->reg_state != NETREG_REGISTERED)
		return;
	unregister_netdev(dev);
	/* A reset that was still to come finds the device not running. */
	cancel_work_sync(&priv->reset_work);
}
EXPORT_SYMBOL_GPL(rnet_unregister);

void rnet_free(struct net_device *dev)
{
	struct rnet_priv *priv = netdev_priv(dev);

	netif_napi_del(&priv->napi);
	free_netdev(dev);
}
EXPORT_SYMBOL_GPL(rnet_free);

int rnet_rxq_reg(struct net_device *dev)
{
	struct rnet_priv *priv = netdev_priv(dev);
	int err;

	err = xdp_rxq_info_reg(&priv->rxq, dev, 0, priv->napi.napi_id);
	if (err)
		return err;
	/* Our own pool takes pages back at put_page(); to XDP they are plain. */
	err = xdp_rxq_info_reg_mem_model(&priv->rxq, MEM_TYPE_PAGE_ORDER0, NULL);
	if (err)
		xdp_rxq_info_unreg(&priv->rxq);
	return err;
}
EXPORT_SYMBOL_GPL(rnet_rxq_reg);

void rnet_rxq_unreg(struct net_device *dev)
{
	struct rnet_priv *priv = netdev_priv(dev);

	xdp_rxq_info_unreg(&priv->rxq);
}
EXPORT_SYMBOL_GPL(rnet_rxq_unreg);

static irqreturn_t rnet_interrupt(int irq, void *data)
{
	struct rnet_priv *priv = netdev_priv(data);

	return priv->vt->interrupt(priv->core) ? IRQ_HANDLED : IRQ_NONE;
}

int rnet_request_irq(u32 irq, struct net_device *dev)
{
	return request_irq(irq, rnet_interrupt, IRQF_SHARED, dev->name, dev);
}
EXPORT_SYMBOL_GPL(rnet_request_irq);

void rnet_free_irq(u32 irq, struct net_device *dev)
{
	free_irq(irq, dev);
}
EXPORT_SYMBOL_GPL(rnet_free_irq);

/* After a restart the hardware has lost what the core had told it. */
void rnet_sync_rx_mode(struct net_device *dev)
{
	struct rnet_priv *priv = netdev_priv(dev);

	netif_addr_lock_bh(dev);
	priv->vt->set_rx_mode(priv->core, dev->flags, &dev->mc);
	netif_addr_unlock_bh(dev);
}
EXPORT_SYMBOL_GPL(rnet_sync_rx_mode);

/* The transmit queue (one per device) */

void rnet_tx_lock(struct net_device *dev)
{
	struct netdev_queue *txq = netdev_get_tx_queue(dev, 0);

	__netif_tx_lock(txq, smp_processor_id());
}
EXPORT_SYMBOL_GPL(rnet_tx_lock);

void rnet_tx_unlock(struct net_device *dev)
{
	__netif_tx_unlock(netdev_get_tx_queue(dev, 0));
}
EXPORT_SYMBOL_GPL(rnet_tx_unlock);

/* The same from process context. */
void rnet_tx_lock_bh(struct net_device *dev)
{
	__netif_tx_lock_bh(netdev_get_tx_queue(dev, 0));
}
EXPORT_SYMBOL_GPL(rnet_tx_lock_bh);

void rnet_tx_unlock_bh(struct net_device *dev)
{
	__netif_tx_unlock_bh(netdev_get_tx_queue(dev, 0));
}
EXPORT_SYMBOL_GPL(rnet_tx_unlock_bh);

void rnet_tx_disable(struct net_device *dev)
{
	netif_tx_disable(dev);
}
EXPORT_SYMBOL_GPL(rnet_tx_disable);

void rnet_tx_reset(struct net_device *dev)
{
	netdev_reset_queue(dev);
}
EXPORT_SYMBOL_GPL(rnet_tx_reset);

void rnet_synchronize(void)
{
	synchronize_net();
}
EXPORT_SYMBOL_GPL(rnet_synchronize);

void rnet_tx_stop(struct net_device *dev)
{
	netif_stop_queue(dev);
}
EXPORT_SYMBOL_GPL(rnet_tx_stop);

void rnet_tx_wake(struct net_device *dev)
{
	netif_wake_queue(dev);
}
EXPORT_SYMBOL_GPL(rnet_tx_wake);

bool rnet_tx_sent(struct net_device *dev, u32 bytes, bool more)
{
	return __netdev_sent_queue(dev, bytes, more);
}
EXPORT_SYMBOL_GPL(rnet_tx_sent);

void rnet_tx_completed(struct net_device *dev, u32 packets, u32 bytes)
{
	struct netdev_queue *txq = netdev_get_tx_queue(dev, 0);

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
EXPORT_SYMBOL_GPL(rnet_tx_completed);

/* sk_buff */

/* An skb over a whole page: its head goes back by put_page(). */
struct sk_buff *rnet_skb_build(void *start, u32 size, u32 offset, u32 len,
			       u32 metasize)
{
	struct sk_buff *skb = napi_build_skb(start, size);

	if (unlikely(!skb))
		return NULL;
	skb_reserve(skb, offset);
	__skb_put(skb, len);
	if (metasize)
		skb_metadata_set(skb, metasize);
	return skb;
}
EXPORT_SYMBOL_GPL(rnet_skb_build);

/*
 * Not napi_alloc_skb(): it takes what is no small head from fragments of order-3
 * pages, and one packet that is kept keeps the 32 KiB. Slab objects do not: what is
 * free beside them is used again. Called in softirq. The metadata are in front of @data.
 */
struct sk_buff *rnet_skb_copy(const void *data, u32 len, u32 metasize)
{
	unsigned int headroom = NET_SKB_PAD + NET_IP_ALIGN;
	struct sk_buff *skb = __alloc_skb(headroom + metasize + len,
					  GFP_ATOMIC | __GFP_NOWARN,
					  SKB_ALLOC_RX | SKB_ALLOC_NAPI,
					  NUMA_NO_NODE);

	if (unlikely(!skb))
		return NULL;
	skb_reserve(skb, headroom);
	skb_put_data(skb, data - metasize, metasize + len);
	if (metasize) {
		skb_metadata_set(skb, metasize);
		__skb_pull(skb, metasize);
	}
	return skb;
}
EXPORT_SYMBOL_GPL(rnet_skb_copy);

/*
 * What is known about a packet is noted here, however its skb was made. (The core
 * adds the NAPI instance.)
 */
void rnet_skb_receive(struct napi_struct *napi, struct sk_buff *skb,
		      bool csum_ok)
{
	struct net_device *dev = napi->dev;

	/* eth_type_trans() takes the header for granted. */
	if (unlikely(!pskb_may_pull(skb, ETH_HLEN))) {
		dev_kfree_skb_any_reason(skb, SKB_DROP_REASON_HDR_TRUNC);
		return;
	}
	if (csum_ok && (dev->features & NETIF_F_RXCSUM))
		skb->ip_summed = CHECKSUM_UNNECESSARY;
	skb->protocol = eth_type_trans(skb, dev);
	napi_gro_receive(napi, skb);
}
EXPORT_SYMBOL_GPL(rnet_skb_receive);

/* On failure the skb is still the caller's. */
int rnet_skb_pad(struct sk_buff *skb)
{
	return __skb_put_padto(skb, ETH_ZLEN, false);
}
EXPORT_SYMBOL_GPL(rnet_skb_pad);

u32 rnet_skb_headlen(struct sk_buff *skb)
{
	return skb_headlen(skb);
}
EXPORT_SYMBOL_GPL(rnet_skb_headlen);

void rnet_skb_tx_timestamp(struct sk_buff *skb)
{
	skb_tx_timestamp(skb);
}
EXPORT_SYMBOL_GPL(rnet_skb_tx_timestamp);

void rnet_skb_drop(struct sk_buff *skb, u32 reason)
{
	dev_kfree_skb_any_reason(skb, reason);
}
EXPORT_SYMBOL_GPL(rnet_skb_drop);

void rnet_skb_consume(struct sk_buff *skb, int budget)
{
	napi_consume_skb(skb, budget);
}
EXPORT_SYMBOL_GPL(rnet_skb_consume);

/* XDP */

u32 rnet_xdp_run(struct bpf_prog *prog, struct xdp_buff *xdp)
{
	return bpf_prog_run_xdp(prog, xdp);
}
EXPORT_SYMBOL_GPL(rnet_xdp_run);

void rnet_xdp_exception(struct net_device *dev, struct bpf_prog *prog, u32 act)
{
	if (act > XDP_REDIRECT)
		bpf_warn_invalid_xdp_action(dev, prog, act);
	trace_xdp_exception(dev, prog, act);
}
EXPORT_SYMBOL_GPL(rnet_xdp_exception);

bool rnet_xdp_frame_is_linear(struct xdp_frame *frame)
{
	return !xdp_frame_has_frags(frame);
}
EXPORT_SYMBOL_GPL(rnet_xdp_frame_is_linear);

/* Where the room for its data ends. */
void *rnet_xdp_frame_end(struct xdp_frame *frame)
{
	return xdp_get_shared_info_from_frame(frame);
}
EXPORT_SYMBOL_GPL(rnet_xdp_frame_end);

/* Streaming DMA of transmit buffers. 0 cannot be told from an address. */

u64 rnet_dma_map_tx(struct device *dev, void *data, u32 len)
{
	dma_addr_t addr = dma_map_single(dev, data, len, DMA_TO_DEVICE);

	return dma_mapping_error(dev, addr) ? U64_MAX : addr;
}
EXPORT_SYMBOL_GPL(rnet_dma_map_tx);

void rnet_dma_unmap_tx(struct device *dev, u64 addr, u32 len)
{
	dma_unmap_single(dev, addr, len, DMA_TO_DEVICE);
}
EXPORT_SYMBOL_GPL(rnet_dma_unmap_tx);
