/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the Rust side of the page pool and of the net abstractions calls in the
 * kernel and the kernel crate's own bindings do not have.
 */
#include <linux/dma-mapping.h>
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/ftrace.h>
#include <linux/if_vlan.h>
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/mii.h>
#include <linux/mm.h>
#include <linux/netdevice.h>
#include <linux/pci.h>
#include <linux/rtnetlink.h>
#include <linux/skbuff.h>
#include <net/netdev_queues.h>
#include <net/page_pool/helpers.h>
#include <net/xdp.h>

/* The helpers have no prototypes but these: their definitions. */
#ifdef CONFIG_PAGE_FREE_HOOK
#include "../helpers/hook_patched.c"
#else
#include "../helpers/hook.c"
#endif
#include "../helpers/net.c"
#include "../helpers/page_pool.c"
#include "../helpers/selftest.c"

/* What the end of a page is needed for when an skb is built over it. */
static const unsigned long RPP_SKB_TAIL =
	SKB_DATA_ALIGN(sizeof(struct skb_shared_info));

/* Pages are mapped once; the caches are flushed for each use, not for that. */
static const unsigned long RPP_DMA_ATTRS = DMA_ATTR_SKIP_CPU_SYNC;

/*
 * Without access to the emergency reserves: a page from there must not be kept
 * (the kernel wants it back at once), so it would be of no use to a pool.
 */
static const gfp_t RPP_GFP_ATOMIC = GFP_ATOMIC | __GFP_NOWARN | __GFP_NOMEMALLOC;
static const gfp_t RPP_GFP_KERNEL = GFP_KERNEL | __GFP_NOWARN | __GFP_NOMEMALLOC;

/* How fast jiffies count. */
static const unsigned long RPP_HZ = HZ;

static const unsigned int RNET_OPS_RTNL = ETHTOOL_OP_NEEDS_RTNL_SCHANNELS |
					  ETHTOOL_OP_NEEDS_RTNL_GLINK;
static const u32 RNET_MSG_DEFAULT = NETIF_MSG_DRV | NETIF_MSG_PROBE | NETIF_MSG_LINK;
static const u32 RNET_MSG_LINK = NETIF_MSG_LINK;
static const unsigned int RNET_COALESCE =
	ETHTOOL_COALESCE_RX_USECS | ETHTOOL_COALESCE_USE_ADAPTIVE_RX;
static const netdev_features_t RNET_F_HIGHDMA = NETIF_F_HIGHDMA;
static const netdev_features_t RNET_F_RXCSUM = NETIF_F_RXCSUM;
static const netdev_features_t RNET_F_RXHASH = NETIF_F_RXHASH;
static const netdev_features_t RNET_F_VLAN_FILTER = NETIF_F_HW_VLAN_CTAG_FILTER;
static const netdev_features_t RNET_F_VLAN_RX = NETIF_F_HW_VLAN_CTAG_RX;
/* What a device does that has offloads. */
static const netdev_features_t RNET_F_OFFLOADS = NETIF_F_SG | NETIF_F_IP_CSUM | NETIF_F_IPV6_CSUM |
						 NETIF_F_TSO | NETIF_F_TSO6;
static const netdev_features_t RNET_F_VLAN_TX = NETIF_F_HW_VLAN_CTAG_TX;
static const netdev_features_t RNET_F_ANY_OFFLOAD = NETIF_F_CSUM_MASK | NETIF_F_GSO_MASK;
/* What C has as macros for skbs; NET_SKB_PAD is max(), which is no constant. */
static const unsigned int RNET_HEADROOM = MAX(32, L1_CACHE_BYTES) + NET_IP_ALIGN;
static const gfp_t RNET_GFP = GFP_ATOMIC | __GFP_NOWARN;
static const __u8 RNET_CHECKSUM_UNNECESSARY = CHECKSUM_UNNECESSARY;
static const __u8 RNET_CHECKSUM_PARTIAL = CHECKSUM_PARTIAL;
static const __u16 RNET_TCP_CHECKSUM = offsetof(struct tcphdr, check);
static const __be16 RNET_VLAN_PROTO = htons(ETH_P_8021Q);
static const u32 RNET_UNICAST_FLT = IFF_UNICAST_FLT;
static const u32 RNET_LIVE_ADDR_CHANGE = IFF_LIVE_ADDR_CHANGE;
static const unsigned long RNET_START = BIT(__LINK_STATE_START);
static const unsigned long RNET_PRESENT = BIT(__LINK_STATE_PRESENT);
static const unsigned int RNET_MAX_PIECES = MAX_SKB_FRAGS;
static const unsigned int RNET_PP_FLAGS = PP_FLAG_DMA_MAP | PP_FLAG_DMA_SYNC_DEV;
