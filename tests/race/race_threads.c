// SPDX-License-Identifier: GPL-2.0
/*
 * The side of the race that returns pages: one thread on each other CPU. And what
 * widens the window: whoever removes a mapping takes a random time over it, while it
 * owns the slot, and others wait for it or end the pool.
 */

#include <linux/delay.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/random.h>

#include "race.h"

struct returner {
	struct task_struct *task;
	struct completion done;
	struct page **pages;
	size_t count;
};

static struct returner returners[NR_CPUS];

static void relax(u32 times)
{
	while (times--)
		cpu_relax();
}

static int linger(struct kprobe *probe, struct pt_regs *regs)
{
	u32 r = get_random_u32();

	/* Mostly not at all, sometimes long. */
	if (!(r & 15))
		relax((r >> 4) % 32);
	if (!(r & 4095))
		relax(100);
	return 0;
}

static struct kprobe unmap = {
	.symbol_name = "dma_unmap_page_attrs",
	.pre_handler = linger,
};

/* From each of the contexts in which a page may be put. */
static void put(struct page *page, u32 how)
{
	unsigned long flags;

	switch (how % 4) {
	case 0:
		local_irq_save(flags);
		put_page(page);
		local_irq_restore(flags);
		break;
	case 1:
		local_bh_disable();
		put_page(page);
		local_bh_enable();
		break;
	default:
		put_page(page);
	}
}

static int return_all(void *data)
{
	struct returner *r = data;
	size_t i;

	/* Some begin before the pool ends, and some after. */
	if (get_random_u32_below(4))
		usleep_range(1, get_random_u32_below(8000) + 2);
	for (i = 0; i < r->count; i++) {
		u32 dice = get_random_u32();

		put(r->pages[i], dice);
		if (!(dice & 0xf00))
			relax((dice >> 12) % 64);
		if (!(dice & 0xff0000))
			cond_resched();
	}
	complete(&r->done);
	return 0;
}

/* Others return these pages from now on. */
int race_start(struct page **pages, size_t count)
{
	/* If the task moves, another CPU has no returner. */
	unsigned int cpu, self = raw_smp_processor_id(), others = num_online_cpus() - 1;
	size_t share = count / max(others, 1U), from = 0;
	struct returner *r = returners;

	if (!others)
		return -EOPNOTSUPP;
	for_each_online_cpu(cpu) {
		if (cpu == self)
			continue;
		r->pages = pages + from;
		r->count = --others ? share : count - from;
		from += r->count;
		init_completion(&r->done);
		r->task = kthread_run_on_cpu(return_all, r, cpu, "return/%u");
		/* Then there is no race, but no leak either. */
		if (IS_ERR(r->task))
			return_all(r);
		r++;
	}
	r->pages = NULL;
	return 0;
}

void race_wait(void)
{
	struct returner *r;

	for (r = returners; r->pages; r++)
		wait_for_completion(&r->done);
	cond_resched();
}

int race_widen(void)
{
	return register_kprobe(&unmap);
}

void race_narrow(void)
{
	unregister_kprobe(&unmap);
}
