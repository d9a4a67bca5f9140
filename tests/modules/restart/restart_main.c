// SPDX-License-Identifier: GPL-2.0
/*
 * Has the core stop a receive queue and start it on a new ring, while the rest
 * of the device goes on:
 *
 *	echo "eth0 0" > /sys/module/restart/parameters/queue
 *
 * The core itself does so only for memory that a user brings along.
 */

#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/netdevice.h>
#include <net/netdev_lock.h>
#include <net/netdev_rx_queue.h>

static int restart(const char *val, const struct kernel_param *kp)
{
	struct net_device *dev;
	char name[IFNAMSIZ];
	unsigned int queue;
	int err = -ERANGE;

	if (sscanf(val, "%15s %u", name, &queue) != 2)
		return -EINVAL;
	dev = dev_get_by_name(&init_net, name);
	if (!dev)
		return -ENODEV;
	netdev_lock(dev);
	if (dev->reg_state == NETREG_REGISTERED && queue < dev->real_num_rx_queues)
		err = netdev_rx_queue_restart(dev, queue);
	netdev_unlock(dev);
	dev_put(dev);
	return err;
}

static const struct kernel_param_ops restart_ops = {
	.set = restart,
};

module_param_cb(queue, &restart_ops, NULL, 0200);
MODULE_PARM_DESC(queue, "Interface and number of the receive queue to restart");

MODULE_DESCRIPTION("Restarts one receive queue");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("NETDEV_INTERNAL");
