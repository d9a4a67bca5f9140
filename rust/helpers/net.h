/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The C half of the net crate: the ops tables that the core calls, and the
 * static inlines and macros that Rust cannot reach.
 */
#ifndef _RUST_NET_HELPERS_H
#define _RUST_NET_HELPERS_H

#include <linux/netdevice.h>
#include <linux/workqueue.h>
#include <net/xdp.h>

/*
 * What the ops tables call. Each argument is an integer or a void pointer:
 * those have the same kCFI type in both languages, the structures of the core
 * and its enums (netdev_tx_t, irqreturn_t) do not.
 */
struct rnet_vtable {
	int (*open)(void *core);
	int (*stop)(void *core);
	/* Called with the transmit queue's lock held. */
	int (*start_xmit)(void *core, void *skb, int more);
	int (*xdp_xmit)(void *core, int n, void *frames, u32 flags);
	int (*poll)(void *core, int budget);
	/* Whether the interrupt was ours. */
	int (*interrupt)(void *core);
	void (*reset)(void *core);
	int (*set_rx_mode)(void *core, u32 flags, void *mc_list);
	int (*set_mac)(void *core, void *addr);
	int (*change_mtu)(void *core, u32 mtu);
	void (*get_stats)(void *core, void *storage);
	void (*get_rings)(void *core, u32 *rx, u32 *tx, u32 *rx_max, u32 *tx_max);
	int (*set_rings)(void *core, u32 rx, u32 tx);
	int (*stat_count)(void *core);
	void (*stat_names)(void *core, u8 *names);
	void (*stat_values)(void *core, u64 *values);
	int (*link_speed)(void *core, u32 *speed, u8 *full_duplex);
};

/* netdev_priv() of every device that the net crate registers. */
struct rnet_priv {
	const struct rnet_vtable *vt;
	void *core;
	struct net_device *dev;
	/* Written under rtnl, read by NAPI poll. */
	struct bpf_prog *prog;
	u32 xdp_max_mtu;
	struct work_struct reset_work;
	struct napi_struct napi;
	struct xdp_rxq_info rxq;
};

struct net_device *rnet_alloc(struct device *parent,
			      const struct rnet_vtable *vt, void *core);
void rnet_set_mtu_range(struct net_device *dev, u32 max, u32 xdp_max);
void rnet_set_mac(struct net_device *dev, const u8 *addr);
void rnet_get_mac(struct net_device *dev, u8 *addr);
u32 rnet_get_mtu(struct net_device *dev);
int rnet_register(struct net_device *dev);
void rnet_unregister(struct net_device *dev);
void rnet_free(struct net_device *dev);
int rnet_rxq_reg(struct net_device *dev);
void rnet_rxq_unreg(struct net_device *dev);

struct rnet_priv *rnet_priv(struct net_device *dev);
void rnet_tx_lock(struct net_device *dev);
void rnet_tx_unlock(struct net_device *dev);
void rnet_tx_lock_bh(struct net_device *dev);
void rnet_tx_unlock_bh(struct net_device *dev);
void rnet_tx_disable(struct net_device *dev);
void rnet_tx_reset(struct net_device *dev);
void rnet_synchronize(void);
void rnet_tx_stop(struct net_device *dev);
void rnet_tx_wake(struct net_device *dev);
bool rnet_tx_sent(struct net_device *dev, u32 bytes, bool more);
void rnet_tx_completed(struct net_device *dev, u32 packets, u32 bytes);
void rnet_sync_rx_mode(struct net_device *dev);

struct sk_buff *rnet_skb_build(void *start, u32 size, u32 offset, u32 len,
			       u32 metasize);
struct sk_buff *rnet_skb_copy(const void *data, u32 len, u32 metasize);
void rnet_skb_receive(struct napi_struct *napi, struct sk_buff *skb,
		      bool csum_ok);
int rnet_skb_pad(struct sk_buff *skb);
u32 rnet_skb_headlen(struct sk_buff *skb);
void rnet_skb_tx_timestamp(struct sk_buff *skb);
void rnet_skb_drop(struct sk_buff *skb, u32 reason);
void rnet_skb_consume(struct sk_buff *skb, int budget);

u32 rnet_xdp_run(struct bpf_prog *prog, struct xdp_buff *xdp);
void rnet_xdp_exception(struct net_device *dev, struct bpf_prog *prog, u32 act);
bool rnet_xdp_frame_is_linear(struct xdp_frame *frame);
void *rnet_xdp_frame_end(struct xdp_frame *frame);

u64 rnet_dma_map_tx(struct device *dev, void *data, u32 len);
void rnet_dma_unmap_tx(struct device *dev, u64 addr, u32 len);

int rnet_request_irq(u32 irq, struct net_device *dev);
void rnet_free_irq(u32 irq, struct net_device *dev);

#endif
