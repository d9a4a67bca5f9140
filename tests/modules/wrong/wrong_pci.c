// SPDX-License-Identifier: GPL-2.0
/* What only the driver of a device can do wrong: here that of an e1000. */
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/io.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include "wrong.h"

#define TCTL 0x400
#define TCTL_EN BIT(1)
#define TDBAL 0x3800
#define TDBAH 0x3804
#define TDLEN 0x3808
#define TDH 0x3810
#define TDT 0x3818

/* Addresses are given out from the top. */
#define NOWHERE 0x1000

/* DMA_API_DEBUG: the driver goes, and its mapping stays. */
static int probe_and_map(struct pci_dev *pdev, const struct pci_device_id *id)
{
	void *buf = kmalloc(128, GFP_KERNEL);

	if (!buf)
		return -ENOMEM;
	return dma_mapping_error(&pdev->dev,
				 dma_map_single(&pdev->dev, buf, 128, DMA_FROM_DEVICE));
}

/* The IOMMU: the device gets the address of a ring that is not mapped, and a packet to send. */
static int probe_and_send(struct pci_dev *pdev, const struct pci_device_id *id)
{
	void __iomem *regs;
	int err = pcim_enable_device(pdev);

	if (err)
		return err;
	regs = pcim_iomap(pdev, 0, 0);
	if (!regs)
		return -ENOMEM;
	pci_set_master(pdev);
	writel(NOWHERE, regs + TDBAL);
	writel(0, regs + TDBAH);
	writel(128, regs + TDLEN);
	writel(0, regs + TDH);
	writel(TCTL_EN, regs + TCTL);
	writel(1, regs + TDT);
	msleep(100);
	writel(0, regs + TCTL);
	pci_clear_master(pdev);
	return 0;
}

static const struct pci_device_id wrong_ids[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_INTEL, 0x100e) },
	{}
};

static void probe_with(int (*probe)(struct pci_dev *pdev, const struct pci_device_id *id))
{
	struct pci_driver driver = { .name = "wrong", .id_table = wrong_ids, .probe = probe };

	if (pci_register_driver(&driver))
		return;
	pci_unregister_driver(&driver);
}

void wrong_dma_pending(void)
{
	probe_with(probe_and_map);
}

void wrong_dma_unmapped(void)
{
	probe_with(probe_and_send);
}
