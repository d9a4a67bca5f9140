// SPDX-License-Identifier: GPL-2.0
/*
 * A device that lies: writes descriptors of a card's rings, those of the first
 * queue, as only the device should, and raises its interrupts, while the driver
 * under test runs. No real traffic meanwhile: the device itself stays honest, and
 * idle.
 *
 * Nothing but loading it happens, and that returns when all is done. "exact" lies
 * one descriptor after the other, as a device would, and predicts what the driver
 * has to count (parameters packets, bytes, errors). Otherwise it writes anywhere at any time,
 * every second time where the driver is about to look, and also to the transmit ring.
 *
 * It finds the rings by the device's registers, so there must be no IOMMU.
 */

#include <linux/delay.h>
#include <linux/io.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/prandom.h>
#include <linux/sched/signal.h>

/* From a ring's base register: */
#define BAH 0x4
#define LEN 0x8
/* (82576) In KiB, the size of a buffer; and whether headers have buffers of their own. */
#define SRRCTL 0xc
#define SIZE(srrctl) ((srrctl) & 0x7f)
#define SPLIT(srrctl) (((srrctl) >> 25 & 7) > 1)
#define HEAD 0x10
#define TAIL 0x18

/* Of a transmit descriptor. */
#define TX_DD BIT_ULL(32)

/* The receive control register, and whether it lets the device receive long packets. */
#define RCTL 0x100
#define LPE BIT(5)

/* What an Ethernet frame has at least, and what a buffer for headers has at most. */
#define ETH_LEAST 14
#define HEADER_MOST 256

/* Of a receive descriptor's first word (82576): there are headers, and how long they are. */
#define SPH BIT_ULL(31)
#define HDR_LEN(word) ((word) >> 21 & 0x3ff)

static const struct card {
	u16 id;
	/* The base registers of the rings; what raises interrupts, and that for packets. */
	u32 rx, tx, raise, packets;
	/* The second word of a receive descriptor, and where the length is there. */
	u64 dd, eop, broken;
	u8 length;
} cards[] = {
	{ 0x100e, 0x2800, 0x3800, 0xc8, BIT(7), BIT_ULL(32), BIT_ULL(33), 0x97ULL << 40, 0 },
	{ 0x10c9, 0xc000, 0xe000, 0x1520, BIT(0), BIT_ULL(0), BIT_ULL(1), 0x97ULL << 24, 32 },
};

static const struct card *card;

/* What the driver lets the device write into a buffer. */
static u32 buffer;
static bool split;

static unsigned int device = 0x100e;
module_param(device, uint, 0444);
MODULE_PARM_DESC(device, "PCI id of the card");

static unsigned long count = 1000000;
module_param(count, ulong, 0444);
MODULE_PARM_DESC(count, "write-backs");
static ulong seed = 1;
module_param(seed, ulong, 0444);
MODULE_PARM_DESC(seed, "of the lies; the same ones for the same seed");
static bool exact = true;
module_param(exact, bool, 0444);
MODULE_PARM_DESC(exact, "in the order in which a device would");
static unsigned int pause = 1;
module_param(pause, uint, 0444);
MODULE_PARM_DESC(pause, "5 to 20 us each, for the driver to look");

static unsigned int frame;
module_param(frame, uint, 0444);
MODULE_PARM_DESC(frame, "bytes of the longest frame, if that may be in several buffers");

static unsigned long packets, bytes, errors, done;
module_param(packets, ulong, 0444);
module_param(bytes, ulong, 0444);
module_param(errors, ulong, 0444);
module_param(done, ulong, 0444);

struct ring {
	void __iomem *regs;
	/* Two words each. */
	__le64 *descs;
	u32 entries;
};

static struct rnd_state rnd;

static u32 any(u32 below)
{
	return prandom_u32_state(&rnd) % below;
}

static u64 any_word(void)
{
	return (u64)prandom_u32_state(&rnd) << 32 | prandom_u32_state(&rnd);
}

/* All of a packet, in this buffer. */
static u64 packet(u64 len)
{
	return card->dd | card->eop | len << card->length;
}

/* What a device might write. */
static u64 lie(void)
{
	switch (any(8)) {
	case 0: /* A device that is gone. */
		return ~0ULL;
	case 1: /* Longer than the buffer. */
		return packet(buffer - 1 + any(4));
	case 2: /* Nothing, or less than a header. */
		return packet(any(ETH_LEAST + 2));
	case 3: /* A frame without an end. */
		if (!frame || !any(4))
			return (any_word() | card->dd) & ~card->eop;
		/* Or one that goes on in the next buffer. */
		return packet(any(2) ? buffer : any(buffer + 2)) & ~card->eop;
	case 4:
	case 5: /* Anything, done. */
		return any_word() | card->dd;
	default: /* The truth, as far as anybody can see. */
		return packet(any(1514 - 60) + 60);
	}
}

/* And in the first word: mostly the truth, that there are headers, or none. */
static u64 lie_of_headers(void)
{
	u64 word = any_word();

	if (split && any(4))
		word = (word & ~(HDR_LEN(~0ULL) << 21)) | SPH | (u64)(54 + any(20)) << 21;
	return word;
}

/* What the driver has to make of it. */
static void predict(u64 info, u64 word)
{
	static u32 parts, total, header;
	static bool bad;
	/* The last one may have nothing but the CRC. */
	u32 most = frame > buffer ? DIV_ROUND_UP(frame, buffer) + 1 : 1;
	u32 len = (u16)(word >> card->length);

	parts++;
	total += len;
	bad |= len > buffer;
	if (parts == 1) {
		bool apart = split && info & SPH;

		header = apart ? HDR_LEN(info) : 0;
		bad |= apart ? header < ETH_LEAST || header > HEADER_MOST : len < ETH_LEAST;
	}
	if (!(word & card->eop)) {
		bad |= parts >= most;
		return;
	}
	if (bad || word & card->broken || total > max(frame, buffer)) {
		errors++;
	} else {
		packets++;
		bytes += total + header;
	}
	parts = 0;
	total = 0;
	bad = false;
}

static int find(struct ring *ring, void __iomem *regs)
{
	phys_addr_t addr = (u64)readl(regs + BAH) << 32 | readl(regs);

	ring->regs = regs;
	ring->entries = readl(regs + LEN) / 16;
	if (!addr || !pfn_valid(PHYS_PFN(addr)) || !ring->entries)
		return -ENODEV;
	ring->descs = phys_to_virt(addr);
	return 0;
}

static void write_back(struct ring *ring, u32 at, u64 info, u64 word)
{
	/* The 82576 says hash, kind and headers of a packet in the first one. */
	if (card->length)
		WRITE_ONCE(ring->descs[2 * at], cpu_to_le64(info));
	/* The driver reads it when the second one says that the descriptor is done. */
	smp_wmb();
	WRITE_ONCE(ring->descs[2 * at + 1], cpu_to_le64(word));
}

/* Lets the driver do something, perhaps on this CPU in a thread, but not forever. */
static int wait(unsigned long since)
{
	usleep_range(5 * pause, 20 * pause);
	if (signal_pending(current))
		return -EINTR;
	return time_after(jiffies, since + 60 * HZ) ? -ETIMEDOUT : 0;
}

/* Tells the driver: mostly that packets have arrived, but also anything else. */
static void interrupt(void __iomem *regs)
{
	writel(any(16) ? card->packets : prandom_u32_state(&rnd), regs + card->raise);
}

static int lie_in_order(struct ring *rx, void __iomem *regs)
{
	u32 head = readl(rx->regs + HEAD), tail = head, burst;
	unsigned long since = jiffies;
	int err;

	for (burst = 0; done < count; done++) {
		while (head == tail) {
			tail = readl(rx->regs + TAIL);
			if (head != tail)
				break;
			interrupt(regs);
			err = wait(since);
			if (err)
				return err;
		}
		since = jiffies;
		u64 info = lie_of_headers(), word = lie();

		/* What has not ended waits for more. */
		if (done == count - 1)
			word |= card->dd | card->eop;
		predict(info, word);
		write_back(rx, head, info, word);
		head = (head + 1) % rx->entries;
		if (!burst--) {
			interrupt(regs);
			burst = any(64);
		}
	}
	/* The driver has seen everything when it has a buffer everywhere. */
	while ((head + rx->entries - readl(rx->regs + TAIL)) % rx->entries != 1) {
		interrupt(regs);
		err = wait(since);
		if (err)
			return err;
	}
	return 0;
}

static int lie_anywhere(struct ring *rx, struct ring *tx, void __iomem *regs)
{
	u32 tail = readl(rx->regs + TAIL);

	for (; done < count; done++) {
		/* The driver is a batch of buffers, at most, behind what it told the device. */
		u32 at = any(2) ? any(rx->entries) : tail + any(48);

		write_back(rx, at % rx->entries, lie_of_headers(), lie());
		if (!any(8))
			write_back(tx, any(tx->entries), any_word(), any_word() | TX_DD);
		if (!any(32)) {
			interrupt(regs);
			if (wait(jiffies))
				return -EINTR;
			tail = readl(rx->regs + TAIL);
		}
	}
	return 0;
}

/* Half a page has it for a frame of the usual MTU, if that is what the driver uses. */
static u32 room(void __iomem *regs)
{
	if (card->length) {
		u32 srrctl = readl(regs + card->rx + SRRCTL);

		split = SPLIT(srrctl);
		return SIZE(srrctl) == 2 ? 1522 : SIZE(srrctl) << 10;
	}
	return readl(regs + RCTL) & LPE ? 2048 : 1522;
}

static int __init liar_init(void)
{
	struct pci_dev *pdev = pci_get_device(PCI_VENDOR_ID_INTEL, device, NULL);
	struct ring rx, tx;
	void __iomem *regs;
	int err;

	card = &cards[device != cards[0].id];
	if (!pdev || device != card->id)
		return -ENODEV;
	prandom_seed_state(&rnd, seed);
	regs = pci_ioremap_bar(pdev, 0);
	err = regs ? 0 : -ENOMEM;
	if (!err && device_iommu_mapped(&pdev->dev))
		err = -EOPNOTSUPP;
	if (!err) {
		err = find(&rx, regs + card->rx) ?: find(&tx, regs + card->tx);
		buffer = room(regs);
	}
	if (!err)
		err = exact ? lie_in_order(&rx, regs) : lie_anywhere(&rx, &tx, regs);
	if (regs)
		iounmap(regs);
	pci_dev_put(pdev);
	return err;
}

static void __exit liar_exit(void)
{
}

module_init(liar_init);
module_exit(liar_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A lying card, for tests");
