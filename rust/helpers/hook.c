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
 *
 * Only what has to be C: the replacements, and what the kernel has as macros.
 * rust/page_pool/hook/ftrace.rs finds the functions and attaches these to them.
 */
#include <linux/folio_batch.h>
#include <linux/ftrace.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/static_call.h>

#include "hook.h"

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

/* What the kernel would have done with a page that is in no pool. */
notrace void rpp_page_free(struct page *page)
{
	static_call(rpp___folio_put)(page_folio(page));
}

static noinline notrace void put_bh_on(struct page *page)
{
	if (!release_bh_on(page))
		rpp_page_free(page);
}

/*
 * Gives @page to the pool, or frees it. Any context, reference count 0. A tail
 * call, so that a page that comes back pays for no stack frame either.
 */
static __always_inline void put(struct page *page, enum rpp_hook_site site)
{
	raw_cpu_inc(rpp_hook_hits[site]);
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

notrace void rpp_hook___folio_put(struct folio *folio)
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
	/* Once for all, where they may be turned on again. */
	const bool off = !bh_off() && bh_may_be_on();
	int cpu;

	if (off)
		local_bh_disable();
	/* As release_bh_on() has it, where they stay on. */
	cpu = bh_off() ? smp_processor_id() : -1;
	for (i = 0; i < folios->nr; i++) {
		struct folio *folio = folios->folios[i];

		if (tagged(&folio->page) && !folio_test_large(folio)) {
			raw_cpu_inc(rpp_hook_hits[RPP_SITE_FREE_UNREF_FOLIOS]);
			if (rpp_page_release(&folio->page, cpu))
				continue;
		}
		folios->folios[kept++] = folio;
	}
	folios->nr = kept;
	if (off)
		local_bh_enable();
	static_call(rpp_free_unref_folios)(folios);
}

notrace void rpp_hook_free_unref_folios(struct folio_batch *folios)
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

static noinline notrace void tagged_page_frag_free(struct page *page)
{
	drop(page, RPP_SITE_PAGE_FRAG_FREE);
}

/* The first word of a tail page has bit 0 set, and is no tag. */
notrace void rpp_hook_page_frag_free(void *addr)
{
	struct page *page = virt_to_page(addr);

	if (tagged(page))
		tagged_page_frag_free(page);
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

notrace void rpp_hook___free_pages(struct page *page, unsigned int order)
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
notrace void rpp_hook_free_pages(unsigned long addr, unsigned int order)
{
	struct page *page;

	if (!addr)
		return;
	page = virt_to_page((void *)addr);
	if (tagged(page))
		raw_cpu_inc(rpp_hook_hits[RPP_SITE_FREE_PAGES]);
	__free_pages(page, order);
}

/* Where the replacements go on. Not while one is in use. */
void rpp_hook_go_on(const unsigned long ips[RPP_SITES])
{
	static_call_update(rpp___folio_put, (void *)ips[RPP_SITE___FOLIO_PUT]);
	static_call_update(rpp_free_unref_folios, (void *)ips[RPP_SITE_FREE_UNREF_FOLIOS]);
	static_call_update(rpp_page_frag_free, (void *)ips[RPP_SITE_PAGE_FRAG_FREE]);
	static_call_update(rpp___free_pages, (void *)ips[RPP_SITE___FREE_PAGES]);
}

unsigned long rpp_ftrace_jmp_set(unsigned long addr)
{
	return ftrace_jmp_set(addr);
}

/* An ftrace callback: what a site is called with. */
notrace void rpp_hook_probe(unsigned long ip, unsigned long parent_ip,
			    struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	void *arg = (void *)ftrace_regs_get_argument(fregs, 0);

	if (in_task())
		rpp_hook_probed(current, ip, arg, object_is_on_stack(arg));
}

#endif
