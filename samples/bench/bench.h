/* SPDX-License-Identifier: GPL-2.0 */
/* What the bench modules share: how one run of a case is timed. */
#ifndef _BENCH_H
#define _BENCH_H

#include <linux/types.h>

struct device;
struct page_pool;

/* One run. Under QEMU's -icount a cycle is an instruction. */
struct bench_sample {
	u64 ops;
	u64 cycles;
	u64 ns;
};

void bench_start(struct bench_sample *s);
void bench_stop(struct bench_sample *s, u64 ops);

/* Whether the user wants this one: the module parameter "case". */
bool bench_wanted(const char *name);

/* Runs @fn once in softirq context, on the CPU of the caller, and waits for it. */
void bench_in_softirq(void (*fn)(void *data), void *data);

/* What the C twins work on. */
struct bench_peer {
	struct page_pool *pool;
	struct device *dev;
	/* Order or number of pages, for those that have one. */
	u32 n;
};

int bench_peer_init(struct bench_peer *peer, struct device *dev);
void bench_peer_exit(struct bench_peer *peer);

/*
 * Twins in C of what the Rust side does, and what there is instead of a pool. In
 * softirq context. s->ops stays 0 when there is no page or no mapping.
 */
typedef void bench_fn(const struct bench_peer *peer, u64 loops,
		      struct bench_sample *s);

bench_fn bench_loop;
bench_fn bench_pool_direct;
bench_fn bench_pool_direct_sync;
bench_fn bench_pool_frag;
bench_fn bench_pool_frag_ring;
bench_fn bench_pool_ring;
bench_fn bench_pool_release;
bench_fn bench_pool_grow;
bench_fn bench_pool_bulk;
bench_fn bench_alloc;
bench_fn bench_alloc_bulk;
bench_fn bench_map;
bench_fn bench_alloc_map;

#endif
