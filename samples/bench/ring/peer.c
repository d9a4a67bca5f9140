// SPDX-License-Identifier: GPL-2.0
/*
 * How the C page_pool takes pages from other CPUs: page_pool_recycle_in_ring() puts
 * them into one ptr_ring for all CPUs, under its producer_lock. Both the ring and the
 * lock (x86's queued spinlock, not paravirtualized) are compiled from the kernel's own
 * source: another lock would have another price when CPUs meet at it.
 *
 * What the two need of the rest of the kernel comes from its tools/include, or from
 * here. Of what the lock does in a kernel, only the call of _raw_spin_lock() and
 * preempt_disable() are missing. They would make it dearer.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#undef __CONCAT /* the C library's; the kernel has its own */

#include <asm/barrier.h>
#include <asm/cmpxchg.h>
#include <linux/atomic.h>
#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/export.h>
#include <linux/gfp_types.h>
#include <linux/kconfig.h>

#define CONFIG_NR_CPUS			1024
#define KMALLOC_MAX_SIZE		INT_MAX
#define SMP_CACHE_BYTES			64
#define ____cacheline_aligned_in_smp	__aligned(SMP_CACHE_BYTES)
#define __lockfunc			noinline
#define __percpu
#define asm_inline			asm
#define data_race			__extension__
#define tracepoint_enabled(...)		false
#define DECLARE_TRACEPOINT(...)		struct file /* which lock_events.h mentions */
#define trace_contention_begin(...)	do { } while (0)
#define trace_contention_end(...)	do { } while (0)

#define cpu_relax			__builtin_ia32_pause
#define prefetchw			__builtin_prefetch
#define xchg				__sync_lock_test_and_set
#define xchg_relaxed			xchg
#define cmpxchg_release			cmpxchg
#define smp_cond_load_acquire(ptr, cond)				\
({									\
	typeof(ptr) p = (ptr);						\
	typeof(*p + 0) VAL;						\
									\
	while (VAL = READ_ONCE(*p), !(cond))				\
		cpu_relax();						\
	barrier(); /* which is all that an acquire takes on x86 */	\
	VAL;								\
})
#define smp_cond_load_relaxed		smp_cond_load_acquire
#define atomic_cond_read_acquire(v, cond) smp_cond_load_acquire(&(v)->counter, cond)
#define atomic_cond_read_relaxed	atomic_cond_read_acquire
#define atomic_try_cmpxchg_relaxed	atomic_try_cmpxchg_acquire
#define atomic_try_cmpxchg_acquire(v, old, new)				\
	__atomic_compare_exchange_n(&(v)->counter, (int *)(old), new, false, \
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)

/* A thread stands for a CPU, and its thread-local storage for the CPU's own variables. */
static __thread unsigned int this_cpu;
static char *offset_of[CONFIG_NR_CPUS];

#define DEFINE_PER_CPU_ALIGNED(...)	/* there is only one */ \
	__thread struct qnode qnodes[_Q_MAX_NODES] ____cacheline_aligned_in_smp
#define smp_processor_id()		this_cpu
#define this_cpu_ptr(ptr)		(ptr)
#define per_cpu_ptr(ptr, cpu)		((void *)(ptr) + (offset_of[cpu] - offset_of[this_cpu]))
#define __this_cpu_dec(var)		((var)--)

/* From arch/x86/include/asm/qspinlock.h, which needs too much else. */
#include <asm-generic/qspinlock_types.h>
#define _Q_PENDING_LOOPS		BIT(9)
#define queued_fetch_set_pending_acquire queued_fetch_set_pending_acquire
static __always_inline u32 queued_fetch_set_pending_acquire(struct qspinlock *lock)
{
	/* "lock btsl", there as here. */
	u32 val = __atomic_fetch_or(&lock->val.counter, _Q_PENDING_VAL, __ATOMIC_ACQUIRE) &
		  _Q_PENDING_VAL;

	return val | (atomic_read(&lock->val) & ~_Q_PENDING_MASK);
}

#include "kernel/locking/qspinlock.c"

#define spinlock_t			struct qspinlock
#define spin_lock_init(lock)		atomic_set(&(lock)->val, 0)
/* As page_pool takes it in a softirq, where packets are freed. The others are not used. */
#define spin_lock			queued_spin_lock
#define spin_unlock			queued_spin_unlock
#define spin_lock_bh			queued_spin_lock
#define spin_unlock_bh			queued_spin_unlock
#define spin_lock_irq			queued_spin_lock
#define spin_unlock_irq			queued_spin_unlock
#define spin_lock_irqsave(lock, flags)	((flags) = 0, queued_spin_lock(lock))
#define spin_unlock_irqrestore(lock, flags) ((void)(flags), queued_spin_unlock(lock))
#define alloc_hooks(call)		call
#define kvfree				free
#define kfree				free
#define kmalloc_array_noprof		kvmalloc_array_noprof

static void *kvmalloc_array_noprof(size_t n, size_t size, gfp_t flags)
{
	size_t bytes = (n * size + SMP_CACHE_BYTES - 1) & -SMP_CACHE_BYTES;
	void *p = aligned_alloc(SMP_CACHE_BYTES, bytes);

	return p ? memset(p, 0, bytes) : NULL;
}

#include "include/linux/ptr_ring.h"

struct ptr_ring *peer_new(int size)
{
	struct ptr_ring *r = aligned_alloc(SMP_CACHE_BYTES, sizeof(*r));

	if (!r || ptr_ring_init(r, size, GFP_KERNEL))
		abort();
	return r;
}

void peer_free(struct ptr_ring *r)
{
	ptr_ring_cleanup(r, NULL);
	free(r);
}

/* The calling thread is that CPU from now on. */
void peer_enter(unsigned int cpu)
{
	if (cpu >= CONFIG_NR_CPUS)
		abort();
	this_cpu = cpu;
	offset_of[cpu] = (char *)&this_cpu;
}

/* Returns pages, as many as there is room for, and says how many. They lie @step apart. */
size_t peer_give(struct ptr_ring *r, char *page, size_t step, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (ptr_ring_produce(r, page + i * step))
			break;
	return i;
}

/* Takes all pages, without a lock as in page_pool_refill_alloc_cache(). */
size_t peer_take(struct ptr_ring *r, size_t *sum)
{
	size_t count = 0;
	void *page;

	while ((page = __ptr_ring_consume(r))) {
		*sum += (size_t)page;
		count++;
	}
	return count;
}
