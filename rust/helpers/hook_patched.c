// SPDX-License-Identifier: GPL-2.0
/*
 * The put_page() hook on a kernel with patches/ of this project. There the kernel
 * itself asks about each tagged page of order 0 whose last reference was dropped.
 * So nothing here depends on an architecture or on what a compiler inlines.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/printk.h>

#include "hook.h"
#include "hook_context.h"

static DEFINE_PER_CPU(unsigned long, hits);
static bool active;

const char *rpp_hook_site_name(unsigned int site)
{
	return site == 0 ? "page_free_hook" : NULL;
}

u64 rpp_hook_site_hits(unsigned int site)
{
	return site == 0 ? rpp_hook_hits() : 0;
}

u64 rpp_hook_hits(void)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(hits, cpu));
	return sum;
}

/* Nobody calls it here, where the kernel is about to free the page anyway. */
void rpp_page_free(struct page *page)
{
	__folio_put(page_folio(page));
}

/* The kernel asks about tagged pages only. */
static_assert(RPP_TAG == PAGE_FREE_HOOK_TAG);

static bool hook_page_free(struct page *page)
{
	raw_cpu_inc(hits);
	return bh_off() ? rpp_page_release(page, smp_processor_id()) :
			  release_bh_on(page);
}

const char *rpp_hook_mode(void)
{
	return "patched kernel";
}

bool rpp_hook_active(void)
{
	return active;
}

int rpp_hook_register(void)
{
	int err = page_free_hook_register(hook_page_free);

	if (err)
		pr_err("the kernel's hook cannot be registered, another module has it: %d\n",
		       err);
	else
		active = true;
	return err;
}

/* When it returns, nobody executes our code. */
void rpp_hook_unregister(void)
{
	active = false;
	page_free_hook_unregister();
}
