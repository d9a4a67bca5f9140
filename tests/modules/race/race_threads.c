// SPDX-License-Identifier: GPL-2.0
/*
 * The side of the race that returns pages: one thread on each other CPU. And what
 * widens the window: whoever removes a mapping takes a random time over it, while it
 * owns the slot, and others wait for it or end the pool; so does an interrupt that has
 * found its pool, and has not yet given back the page.
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
	size_t count, returned;
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

static struct kprobe take_back = {
	.symbol_name = "rpp_page_clean",
	.pre_handler = linger,
};

static struct kprobe *probes[] = { &unmap, &take_back };

/* Mostly less than the pool's end takes, sometimes more. */
static void sleep_somewhat(void)
{
	u32 us = get_random_u32_below(1 << get_random_u32_below(17));

	if (us)
		usleep_range(us, us + 1);
}

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

	/* If the pool's end does not wait, some begin after it. */
	sleep_somewhat();
	for (i = 0; i < r->count; i++) {
		u32 dice = get_random_u32();

		put(r->pages[i], dice);
		WRITE_ONCE(r->returned, i + 1);
		if (!(dice & 0xf00))
			relax((dice >> 12) % 64);
		if (!(dice & 0xff0000))
			cond_resched();
	}
	complete(&r->done);
	return 0;
}

static size_t returned(void)
{
	struct returner *r;
	size_t n = 0;

	for (r = returners; r->pages; r++)
		n += READ_ONCE(r->returned);
	return n;
}

/* Others return these pages from now on. When this returns some may be back, or all. */
int race_start(struct page **pages, size_t count)
{
	/* If the task moves, another CPU has no returner. */
	unsigned int cpu, self = raw_smp_processor_id(), others = num_online_cpus() - 1;
	size_t share = count / max(others, 1U), from = 0;
	size_t wait_for = get_random_u32_below(2) * get_random_u32_below(count + 1);
	struct returner *r = returners;

	if (!others)
		return -EOPNOTSUPP;
	for_each_online_cpu(cpu) {
		if (cpu == self)
			continue;
		r->pages = pages + from;
		r->count = --others ? share : count - from;
		r->returned = 0;
		from += r->count;
		init_completion(&r->done);
		r->task = kthread_run_on_cpu(return_all, r, cpu, "return/%u");
		/* Then there is no race, but no leak either. */
		if (IS_ERR(r->task))
			return_all(r);
		r++;
	}
	r->pages = NULL;
	while (returned() < wait_for) {
		cpu_relax();
		cond_resched();
	}
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
	return register_kprobes(probes, ARRAY_SIZE(probes));
}

void race_narrow(void)
{
	unregister_kprobes(probes, ARRAY_SIZE(probes));
}
