// SPDX-License-Identifier: GPL-2.0
/*
 * Does what must not be done, one way for each checker of the debug kernel, to
 * see that the checker says so: echo WHAT >/sys/kernel/debug/wrong
 *
 * A checker that is silent because it is not configured, disabled itself, or
 * does not instrument this code would otherwise look like one that is content.
 * Only for a VM: some of these end the task that writes here, all leave a mess.
 */
#include <linux/bottom_half.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "wrong.h"

/* What the compiler must not know. */
static int thirty_three = 33;

/* KASAN */
static void use_after_free(void)
{
	char *p = kmalloc(64, GFP_KERNEL);

	kfree(p);
	READ_ONCE(*p);
}

/* lockdep: no deadlock, but the order for one. */
static void lock_order(void)
{
	static DEFINE_SPINLOCK(a);
	static DEFINE_SPINLOCK(b);

	spin_lock(&a);
	spin_lock(&b);
	spin_unlock(&b);
	spin_unlock(&a);

	spin_lock(&b);
	spin_lock(&a);
	spin_unlock(&a);
	spin_unlock(&b);
}

/* PROVE_RCU */
static void rcu_unprotected(void)
{
	static int __rcu *pointer;

	rcu_dereference(pointer);
}

/* DEBUG_ATOMIC_SLEEP */
static void sleep_in_softirq(void)
{
	local_bh_disable();
	kfree(kmalloc(64, GFP_KERNEL));
	local_bh_enable();
}

/* DEBUG_PREEMPT */
static void cpu_preemptible(void)
{
	smp_processor_id();
}

/* DETECT_HUNG_TASK; the test has made its time-out short. */
static void hang(void)
{
	schedule_timeout_uninterruptible(20 * HZ);
}

/* DMA_API_DEBUG: any PCI device will do. */
static void dma_map(bool sync_late)
{
	struct pci_dev *pdev = pci_get_device(PCI_ANY_ID, PCI_ANY_ID, NULL);
	void *buf = kmalloc(128, GFP_KERNEL);
	dma_addr_t addr;

	if (!pdev || !buf)
		goto out;
	addr = dma_map_single(&pdev->dev, buf, 128, DMA_FROM_DEVICE);
	if (dma_mapping_error(&pdev->dev, addr))
		goto out;
	if (sync_late) {
		dma_unmap_single(&pdev->dev, addr, 128, DMA_FROM_DEVICE);
		dma_sync_single_for_cpu(&pdev->dev, addr, 128, DMA_FROM_DEVICE);
	} else {
		dma_unmap_single(&pdev->dev, addr, 64, DMA_FROM_DEVICE);
	}
out:
	kfree(buf);
	pci_dev_put(pdev);
}

static void dma_size(void)
{
	dma_map(false);
}

static void dma_sync(void)
{
	dma_map(true);
}

/* DEBUG_KMEMLEAK: several, as a stale pointer somewhere may hide one. */
static void leak(void)
{
	int i;

	for (i = 0; i < 8; i++) {
		void *p = kmalloc(100, GFP_KERNEL);

		OPTIMIZER_HIDE_VAR(p);
	}
}

/* PAGE_OWNER: kmemleak knows nothing of pages. */
static void leak_page(void)
{
	alloc_page(GFP_KERNEL);
}

/* DEBUG_VM, and PAGE_OWNER for what it tells about the page. */
static void put_twice(void)
{
	struct page *page = alloc_page(GFP_KERNEL);

	if (!page)
		return;
	put_page(page);
	put_page(page);
}

/* PAGE_POISONING: KASAN must not see it, as it does not see a device. */
static noinline __no_sanitize_address void write_unseen(void *p)
{
	WRITE_ONCE(*(u32 *)p, 0xdeadbeef);
}

static void write_freed_page(void)
{
	struct page *pages[64];
	int i;

	/* The next pages of this CPU are those that it freed last. */
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		pages[i] = alloc_page(GFP_KERNEL);
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		void *p = pages[i] ? page_address(pages[i]) : NULL;

		if (!p)
			continue;
		__free_page(pages[i]);
		write_unseen(p);
	}
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		pages[i] = alloc_page(GFP_KERNEL);
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		if (pages[i])
			__free_page(pages[i]);
}

/* UBSAN */
static void shift(void)
{
	thirty_three = 1 << READ_ONCE(thirty_three);
	thirty_three = 33;
}

static void bounds(void)
{
	static int array[64];
	int i = READ_ONCE(thirty_three);

	array[i + 33] = 0;
}

/* DEBUG_OBJECTS_WORK; DEBUG_OBJECTS_FREE takes it off the queue. */
static void slow_work(struct work_struct *work)
{
	msleep(500);
}

static void free_work(void)
{
	struct workqueue_struct *wq = alloc_ordered_workqueue("wrong", 0);
	struct work_struct *work = kmalloc(2 * sizeof(*work), GFP_KERNEL);
	static DECLARE_WORK(first, slow_work);

	if (wq && work) {
		INIT_WORK(work, slow_work);
		queue_work(wq, &first);
		queue_work(wq, work);
	}
	kfree(work);
	if (wq)
		destroy_workqueue(wq);
}

/* DEBUG_OBJECTS_TIMERS */
static void free_timer(void)
{
	struct delayed_work *work = kmalloc(sizeof(*work), GFP_KERNEL);

	if (work) {
		INIT_DELAYED_WORK(work, slow_work);
		schedule_delayed_work(work, 1000 * HZ);
	}
	kfree(work);
}

/* DEBUG_LIST */
static void list_twice(void)
{
	LIST_HEAD(head);
	LIST_HEAD(entry);

	list_add(&entry, &head);
	list_del(&entry);
	list_del(&entry);
}

/* KCSAN: two CPUs count, and neither knows of the other. */
static unsigned long counter;

static void count_for(unsigned int seconds)
{
	unsigned long end = jiffies + seconds * HZ;

	while (time_before(jiffies, end)) {
		counter++;
		/* Each time, in memory. */
		barrier();
		cond_resched();
	}
}

static void count_too(struct work_struct *work)
{
	count_for(5);
}

static void unordered(void)
{
	static DECLARE_WORK(work, count_too);

	queue_work_on(cpumask_next_wrap(raw_smp_processor_id(), cpu_online_mask),
		      system_percpu_wq, &work);
	count_for(5);
	flush_work(&work);
}

static const struct {
	const char *name;
	void (*func)(void);
} wrongs[] = {
	{ "use_after_free", use_after_free },
	{ "lock_order", lock_order },
	{ "rcu_unprotected", rcu_unprotected },
	{ "sleep_in_softirq", sleep_in_softirq },
	{ "cpu_preemptible", cpu_preemptible },
	{ "hang", hang },
	{ "dma_size", dma_size },
	{ "dma_sync", dma_sync },
	{ "dma_pending", wrong_dma_pending },
	{ "dma_unmapped", wrong_dma_unmapped },
	{ "leak", leak },
	{ "leak_page", leak_page },
	{ "put_twice", put_twice },
	{ "write_freed_page", write_freed_page },
	{ "shift", shift },
	{ "bounds", bounds },
	{ "free_work", free_work },
	{ "free_timer", free_timer },
	{ "list_twice", list_twice },
	{ "unordered", unordered },
	{ "rust_use_after_free", wrong_rust_use_after_free },
	{ "rust_assertion", wrong_rust_assertion },
};

static ssize_t wrong_write(struct file *file, const char __user *buf,
			   size_t count, loff_t *pos)
{
	char what[32] = {};
	int i;

	if (count >= sizeof(what) || copy_from_user(what, buf, count))
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(wrongs); i++) {
		if (sysfs_streq(what, wrongs[i].name)) {
			wrongs[i].func();
			return count;
		}
	}
	return -EINVAL;
}

static const struct file_operations wrong_fops = {
	.owner = THIS_MODULE,
	.write = wrong_write,
};

static struct dentry *wrong_file;

static int __init wrong_init(void)
{
	wrong_file = debugfs_create_file("wrong", 0200, NULL, NULL, &wrong_fops);
	return 0;
}
module_init(wrong_init);

static void __exit wrong_exit(void)
{
	debugfs_remove(wrong_file);
}
module_exit(wrong_exit);

MODULE_DESCRIPTION("Does what the checkers of a debug kernel must report");
MODULE_LICENSE("GPL");
