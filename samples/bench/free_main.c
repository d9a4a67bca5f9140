// SPDX-License-Identifier: GPL-2.0
/*
 * What it costs to free pages that are of no pool: loaded once without
 * rust_page_pool.ko and once with it, this tells what the hook adds. All in
 * softirq context; the loops also allocate, which the hook does not change.
 */
#define pr_fmt(fmt) "bench: " fmt

#include <linux/gfp.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/skbuff.h>
#include <linux/timex.h>
#include <linux/workqueue.h>

static char *side = "off";
module_param(side, charp, 0444);
MODULE_PARM_DESC(side, "What the results are called: off, or how the hook is attached");

static unsigned long loops = 100000;
module_param(loops, ulong, 0444);
MODULE_PARM_DESC(loops, "Pages in each round");

static unsigned int rounds = 3;
module_param(rounds, uint, 0444);
MODULE_PARM_DESC(rounds, "How often each case is run");

static char *only;
module_param_named(case, only, charp, 0444);
MODULE_PARM_DESC(case, "Only the case of this name");

#define BATCH	16

typedef int free_fn(struct page **pages);

static int free_put_page(struct page **pages)
{
	put_page(pages[0]);
	return 1;
}

static int free___free_pages(struct page **pages)
{
	__free_pages(pages[0], 0);
	return 1;
}

static int free_free_pages(struct page **pages)
{
	free_pages((unsigned long)page_address(pages[0]), 0);
	return 1;
}

static int free_release_pages_1(struct page **pages)
{
	release_pages(pages, 1);
	return 1;
}

static int free_release_pages_16(struct page **pages)
{
	release_pages(pages, BATCH);
	return BATCH;
}

static const struct {
	const char *name;
	free_fn *fn;
	int pages;
} cases[] = {
	{ "untagged_put_page", free_put_page, 1 },
	{ "untagged___free_pages", free___free_pages, 1 },
	{ "untagged_free_pages", free_free_pages, 1 },
	{ "untagged_release_pages_1", free_release_pages_1, 1 },
	{ "untagged_release_pages_16", free_release_pages_16, BATCH },
};

static int run(free_fn *fn, int nr, unsigned long *ops, u64 *cycles, u64 *ns)
{
	struct page *pages[BATCH];
	unsigned long done;
	u64 c, n;
	int i;

	n = ktime_get_ns();
	c = get_cycles();
	for (done = 0; done < loops; done++) {
		for (i = 0; i < nr; i++) {
			pages[i] = alloc_page(GFP_ATOMIC);
			if (!pages[i])
				goto undo;
		}
		fn(pages);
	}
	*cycles = get_cycles() - c;
	*ns = ktime_get_ns() - n;
	*ops = done;
	return 0;
undo:
	while (i--)
		put_page(pages[i]);
	return -ENOMEM;
}

static int err;

static void run_all(struct work_struct *work)
{
	unsigned long ops;
	unsigned int i, r;
	u64 cycles, ns;

	for (r = 0; r <= rounds; r++)
		for (i = 0; !err && i < ARRAY_SIZE(cases); i++) {
			if (only && strcmp(only, cases[i].name))
				continue;
			err = run(cases[i].fn, cases[i].pages, &ops, &cycles, &ns);
			/* The first round warms up. */
			if (!err && r)
				pr_info("case=%s side=%s map=none round=%u ops=%lu cycles=%llu ns=%llu\n",
					cases[i].name, side, r, ops, cycles, ns);
		}
}

static int __init bench_free_init(void)
{
	struct work_struct work;

	INIT_WORK_ONSTACK(&work, run_all);
	queue_work(system_bh_wq, &work);
	flush_work(&work);
	destroy_work_on_stack(&work);
	return err;
}
module_init(bench_free_init);

static void __exit bench_free_exit(void)
{
}
module_exit(bench_free_exit);

MODULE_DESCRIPTION("Cost of freeing pages that are of no page pool");
MODULE_AUTHOR("Rust page pool developers");
MODULE_LICENSE("GPL");
