// SPDX-License-Identifier: GPL-2.0
/*
 * Writes a register of a PCI device, behind its driver's back:
 *
 *	echo "0000:00:01.0 0x400 0" > /sys/module/poke/parameters/register
 *
 * User space may not, while a driver has claimed them.
 */

#include <linux/io.h>
#include <linux/module.h>
#include <linux/pci.h>

static int poke(const char *val, const struct kernel_param *kp)
{
	unsigned int domain, bus, slot, function, offset, value;
	struct pci_dev *pdev;
	void __iomem *regs;
	int err = -ERANGE;

	if (sscanf(val, "%x:%x:%x.%x %i %i", &domain, &bus, &slot, &function, &offset, &value) != 6)
		return -EINVAL;
	pdev = pci_get_domain_bus_and_slot(domain, bus, PCI_DEVFN(slot, function));
	if (!pdev)
		return -ENODEV;
	if (!(offset % 4) && offset < pci_resource_len(pdev, 0)) {
		regs = pci_ioremap_bar(pdev, 0);
		err = regs ? 0 : -ENOMEM;
		if (regs) {
			writel(value, regs + offset);
			iounmap(regs);
		}
	}
	pci_dev_put(pdev);
	return err;
}

static const struct kernel_param_ops poke_ops = {
	.set = poke,
};

module_param_cb(register, &poke_ops, NULL, 0200);
MODULE_PARM_DESC(register, "Device, offset in BAR 0, and what to write there");

MODULE_DESCRIPTION("Writes a register of a PCI device");
MODULE_LICENSE("GPL");
