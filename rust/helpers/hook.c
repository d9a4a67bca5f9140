// SPDX-License-Identifier: GPL-2.0
/*
 * The put_page() hook: ftrace direct calls in jump mode.
 *
 * put_page() and its like are inlines, but each ends in one of five functions.
 * ftrace turns the nop at the entry of such a function into a jump to a
 * replacement of ours that has the same prototype. So the stack is what the
 * function itself would have found, and the replacement either returns to the
 * caller ("handled") or goes on behind the nop, at ip + 5, as a tail call.
 * That continuation must be a direct jump, because there is no endbr64 at
 * ip + 5: hence a static call.
 *
 * __folio_put() and page_frag_free() go on to free_frozen_pages(), which would be
 * one site instead of two. But the way there is as long as all that the pool has
 * to do, and an ordinary page pays at one site only in both cases.
 *
 * Still outside, because nobody frees a single page of a socket in these ways:
 * free_pages_nolock(), free_frozen_pages_nolock(), free_pages_exact(),
 * __page_frag_cache_drain() and __free_contig_range(). A page that gets there is
 * lost to the pool, which finds out when it looks at its slots.
 *
 * Everything that runs in the hook is notrace: a traced function in here would
 * enter the tracer once more for each page.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/errno.h>
#include <linux/folio_batch.h>
#include <linux/ftrace.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/page_frag_cache.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/static_call.h>
#include <linux/string.h>

#include "hook.h"
#include "hook_context.h"

static const char * const site_names[RPP_SITES] = {
	[RPP_SITE___FOLIO_PUT]		= "__folio_put",
	[RPP_SITE_FREE_UNREF_FOLIOS]	= "free_unref_folios",
	[RPP_SITE_PAGE_FRAG_FREE]	= "page_frag_free",
	[RPP_SITE___FREE_PAGES]		= "__free_pages",
	[RPP_SITE_FREE_PAGES]		= "free_pages",
};

const char *rpp_hook_site_name(unsigned int site)
{
	return site < RPP_SITES ? site_names[site] : NULL;
}

struct site_hits {
	unsigned long n[RPP_SITES];
};

/* Tagged pages only, so that other pages pay nothing. */
static DEFINE_PER_CPU(struct site_hits, site_hits);

u64 rpp_hook_site_hits(unsigned int site)
{
	u64 sum = 0;
	int cpu;

	if (site >= RPP_SITES)
		return 0;
	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(site_hits, cpu).n[site]);
	return sum;
}

u64 rpp_hook_hits(void)
{
	/* free_pages() counts in __free_pages() as well, which asks. */
	return rpp_hook_site_hits(RPP_SITE___FOLIO_PUT) +
	       rpp_hook_site_hits(RPP_SITE_FREE_UNREF_FOLIOS) +
	       rpp_hook_site_hits(RPP_SITE_PAGE_FRAG_FREE) +
	       rpp_hook_site_hits(RPP_SITE___FREE_PAGES);
}

#if defined(CONFIG_X86_64) && defined(CONFIG_DYNAMIC_FTRACE_WITH_JMP) && \
	defined(CONFIG_DYNAMIC_FTRACE_WITH_ARGS) && defined(CONFIG_HAVE_STATIC_CALL)

/* The functions that are replaced, from ip + 5 on. Set before any is hooked. */
typedef void folio_fn(struct folio *folio);
typedef void folios_fn(struct folio_batch *folios);
typedef void addr_fn(void *addr);
typedef void pages_fn(struct page *page, unsigned int order);
DEFINE_STATIC_CALL_NULL(rpp___folio_put, folio_fn);
DEFINE_STATIC_CALL_NULL(rpp_free_unref_folios, folios_fn);
DEFINE_STATIC_CALL_NULL(rpp_page_frag_free, addr_fn);
DEFINE_STATIC_CALL_NULL(rpp___free_pages, pages_fn);

/* Whether @page looks like a pool's. All that an ordinary page has to pay. */
static __always_inline bool tagged(const struct page *page)
{
	/* movzwl + cmpl: a compare with a 16-bit immediate stalls the decoder. */
	u32 tag = READ_ONCE(((const u16 *)&page->lru.next)[3]);

	OPTIMIZER_HIDE_VAR(tag);
	return unlikely(tag == RPP_TAG);
}

static noinline notrace void put_bh_on(struct page *page)
{
	if (!release_bh_on(page))
		rpp_page_free(page);
}

/* What the kernel would have done with a page that is in no pool. */
notrace void rpp_page_free(struct page *page)
{
	static_call(rpp___folio_put)(page_folio(page));
}

/*
 * Gives @page to the pool, or frees it. Any context, reference count 0. A tail
 * call, so that a page that comes back pays for no stack frame either.
 */
static __always_inline void put(struct page *page, enum rpp_hook_site site)
{
	raw_cpu_inc(site_hits.n[site]);
	if (bh_off())
		rpp_page_put(page, smp_processor_id());
	else
		put_bh_on(page);
}

/*
 * The replacements. Each begins with the test for an ordinary page and ends in
 * tail calls only, so that such a page pays for no stack frame.
 */

/* Nothing of what __folio_put() does is of use for a page that the pool takes. */
static noinline notrace void tagged___folio_put(struct folio *folio)
{
	put(&folio->page, RPP_SITE___FOLIO_PUT);
}

static notrace void hook___folio_put(struct folio *folio)
{
	if (tagged(&folio->page))
		tagged___folio_put(folio);
	else
		static_call(rpp___folio_put)(folio);
}

/*
 * Takes the pool's pages out of a batch; the counts are 0 already. What is left,
 * if only an empty batch, is for the original, which also makes the batch usable
 * again.
 */
static noinline notrace void tagged_free_unref_folios(struct folio_batch *folios)
{
	unsigned int i, kept = 0;

	for (i = 0; i < folios->nr; i++) {
		struct folio *folio = folios->folios[i];

		if (tagged(&folio->page) && !folio_test_large(folio)) {
			raw_cpu_inc(site_hits.n[RPP_SITE_FREE_UNREF_FOLIOS]);
			if (bh_off() ? rpp_page_release(&folio->page, smp_processor_id()) :
				       release_bh_on(&folio->page))
				continue;
		}
		folios->folios[kept++] = folio;
	}
	folios->nr = kept;
	static_call(rpp_free_unref_folios)(folios);
}

static notrace void hook_free_unref_folios(struct folio_batch *folios)
{
	struct folio **folio = folios->folios;
	struct folio **end = folio + folios->nr;

	/* A tight scan, because most batches hold no page of a pool. */
	for (; folio < end; folio++) {
		if (tagged(&(*folio)->page)) {
			tagged_free_unref_folios(folios);
			return;
		}
	}
	static_call(rpp_free_unref_folios)(folios);
}

/* The rest is entered before the reference is dropped. */
static __always_inline void drop(struct page *page, enum rpp_hook_site site)
{
	if (put_page_testzero(page))
		put(page, site);
}

static noinline notrace void tagged_page_frag_free(void *addr)
{
	drop(virt_to_page(addr), RPP_SITE_PAGE_FRAG_FREE);
}

/* The first word of a tail page has bit 0 set, and is no tag. */
static notrace void hook_page_frag_free(void *addr)
{
	if (tagged(virt_to_page(addr)))
		tagged_page_frag_free(addr);
	else
		static_call(rpp_page_frag_free)(addr);
}

static noinline notrace void tagged___free_pages(struct page *page,
						 unsigned int order)
{
	/* A pool's page is of order 0, whatever its first word says. */
	if (order)
		static_call(rpp___free_pages)(page, order);
	else
		drop(page, RPP_SITE___FREE_PAGES);
}

static notrace void hook___free_pages(struct page *page, unsigned int order)
{
	if (tagged(page))
		tagged___free_pages(page, order);
	else
		static_call(rpp___free_pages)(page, order);
}

/*
 * free_pages() is nothing but this. It has to be replaced, because the compiler
 * inlines __free_pages() into it; here the call goes to the hooked one.
 */
static notrace void hook_free_pages(unsigned long addr, unsigned int order)
{
	struct page *page;

	if (!addr)
		return;
	page = virt_to_page((void *)addr);
	if (tagged(page))
		raw_cpu_inc(site_hits.n[RPP_SITE_FREE_PAGES]);
	__free_pages(page, order);
}

/*
 * PERMANENT: "sysctl kernel.ftrace_enabled=0" must not turn the hook off. Not
 * RECURSION: a call that is skipped is a lost page.
 */
static struct ftrace_ops site_ops[RPP_SITES] = {
	[0 ... RPP_SITES - 1] = { .flags = FTRACE_OPS_FL_PERMANENT },
};

static bool site_active[RPP_SITES];

static unsigned long site_target(unsigned int site)
{
	static void * const hooks[RPP_SITES] = {
		[RPP_SITE___FOLIO_PUT]		= hook___folio_put,
		[RPP_SITE_FREE_UNREF_FOLIOS]	= hook_free_unref_folios,
		[RPP_SITE_PAGE_FRAG_FREE]	= hook_page_frag_free,
		[RPP_SITE___FREE_PAGES]		= hook___free_pages,
		[RPP_SITE_FREE_PAGES]		= hook_free_pages,
	};

	return ftrace_jmp_set((unsigned long)hooks[site]);
}

/*
 * Finding the sites. Their addresses are not exported; an ordinary ftrace
 * callback gets them while a scratch page is freed through each site, which
 * also proves that the site is called on that route.
 */
static struct {
	struct task_struct *task;
	struct page *page;
	enum rpp_hook_site site;
	unsigned long ip;
} probe;

static notrace void probe_func(unsigned long ip, unsigned long parent_ip,
			       struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	unsigned long arg;
	bool ours;

	/* The outermost call of ours is the one that a route ends in. */
	if (current != READ_ONCE(probe.task) || !in_task() || probe.ip)
		return;

	arg = ftrace_regs_get_argument(fregs, 0);
	switch (probe.site) {
	case RPP_SITE_FREE_UNREF_FOLIOS:
		/* release_pages() has its batch on the stack. */
		ours = object_is_on_stack((void *)arg) &&
		       ((struct folio_batch *)arg)->nr == 1 &&
		       ((struct folio_batch *)arg)->folios[0] == page_folio(probe.page);
		break;
	case RPP_SITE_PAGE_FRAG_FREE:
	case RPP_SITE_FREE_PAGES:
		ours = arg == (unsigned long)page_address(probe.page);
		break;
	default:
		ours = arg == (unsigned long)probe.page;
	}
	if (ours)
		probe.ip = ip;
}

static struct ftrace_ops probe_ops = {
	.func = probe_func,
	.flags = FTRACE_OPS_FL_PERMANENT,
};

static int probe_site(unsigned int site, unsigned long *ip)
{
	struct page *page = alloc_page(GFP_KERNEL);

	if (!page)
		return -ENOMEM;

	probe.page = page;
	probe.site = site;
	probe.ip = 0;
	WRITE_ONCE(probe.task, current);
	switch (site) {
	case RPP_SITE___FOLIO_PUT:
		put_page(page);
		break;
	case RPP_SITE_FREE_UNREF_FOLIOS:
		release_pages(&page, 1);
		break;
	case RPP_SITE_PAGE_FRAG_FREE:
		page_frag_free(page_address(page));
		break;
	case RPP_SITE___FREE_PAGES:
		__free_pages(page, 0);
		break;
	case RPP_SITE_FREE_PAGES:
		free_pages((unsigned long)page_address(page), 0);
		break;
	}
	WRITE_ONCE(probe.task, NULL);

	*ip = probe.ip;
	if (!*ip) {
		pr_err("a page was freed and %s() was not called: this kernel frees pages in another way\n",
		       site_names[site]);
		return -ENXIO;
	}
	return 0;
}

static int find_sites(unsigned long ips[RPP_SITES])
{
	unsigned int i, j;
	int err = 0;

	for (i = 0; !err && i < RPP_SITES; i++) {
		err = ftrace_set_filter(&probe_ops, (unsigned char *)site_names[i],
					strlen(site_names[i]), i == 0);
		if (err)
			pr_err("ftrace does not know %s(): %d\n", site_names[i], err);
	}
	if (!err) {
		err = register_ftrace_function(&probe_ops);
		if (err)
			pr_err("ftrace refuses a probe (is kernel.ftrace_enabled 0?): %d\n",
			       err);
	}
	if (!err) {
		for (i = 0; !err && i < RPP_SITES; i++)
			err = probe_site(i, &ips[i]);
		unregister_ftrace_function(&probe_ops);
	}
	ftrace_free_filter(&probe_ops);

	/* Each function has its own replacement; a mix-up would be fatal. */
	for (i = 0; !err && i < RPP_SITES; i++)
		for (j = 0; !err && j < i; j++)
			if (ips[i] == ips[j]) {
				pr_err("%s() and %s() are one function here\n",
				       site_names[i], site_names[j]);
				err = -ENXIO;
			}
	return err;
}

const char *rpp_hook_mode(void)
{
	return "ftrace direct (jump)";
}

bool rpp_hook_active(void)
{
	return site_active[0];
}

/*
 * Waits for RCU tasks: once for each site, so under a second on an idle system,
 * but behind a kernel thread that never sleeps for as long as that runs. After
 * it nobody executes our code.
 */
void rpp_hook_unregister(void)
{
	int i, err;

	for (i = RPP_SITES - 1; i >= 0; i--) {
		if (!site_active[i])
			continue;
		err = unregister_ftrace_direct(&site_ops[i], site_target(i), true);
		/*
		 * Not for what is registered, unless ftrace shut itself down. Then the
		 * function jumps here for good, so "here" must stay.
		 */
		if (err) {
			pr_err("%s() cannot be released: %d. The module stays until a reboot.\n",
			       site_names[i], err);
			for (;;)
				schedule_timeout_idle(MAX_SCHEDULE_TIMEOUT);
		}
		site_active[i] = false;
	}
}

/* Process context. One module in the system can have the hook. */
int rpp_hook_register(void)
{
	unsigned long ips[RPP_SITES];
	unsigned int i;
	int err;

	err = find_sites(ips);
	if (err)
		return err;

	static_call_update(rpp___folio_put,
			   (void *)(ips[RPP_SITE___FOLIO_PUT] + MCOUNT_INSN_SIZE));
	static_call_update(rpp_free_unref_folios,
			   (void *)(ips[RPP_SITE_FREE_UNREF_FOLIOS] + MCOUNT_INSN_SIZE));
	static_call_update(rpp_page_frag_free,
			   (void *)(ips[RPP_SITE_PAGE_FRAG_FREE] + MCOUNT_INSN_SIZE));
	static_call_update(rpp___free_pages,
			   (void *)(ips[RPP_SITE___FREE_PAGES] + MCOUNT_INSN_SIZE));

	for (i = 0; i < RPP_SITES; i++) {
		/* By address: a name could stand for several functions. */
		err = ftrace_set_filter_ip(&site_ops[i], ips[i], 0, 1);
		if (!err) {
			err = register_ftrace_direct(&site_ops[i], site_target(i));
			if (err)
				ftrace_free_filter(&site_ops[i]);
		}
		if (err == -EBUSY)
			pr_err("%s() cannot be hooked: a BPF program, a livepatch or another module has it\n",
			       site_names[i]);
		else if (err)
			pr_err("%s() cannot be hooked: %d\n", site_names[i], err);
		if (err) {
			rpp_hook_unregister();
			return err;
		}
		site_active[i] = true;
	}
	return 0;
}

#else /* no ftrace direct calls in jump mode */

const char *rpp_hook_mode(void)
{
	return "none";
}

bool rpp_hook_active(void)
{
	return false;
}

int rpp_hook_register(void)
{
	pr_err("this kernel has no DYNAMIC_FTRACE_WITH_JMP (x86-64), which the put_page() hook needs\n");
	return -EOPNOTSUPP;
}

void rpp_hook_unregister(void)
{
}

#endif
