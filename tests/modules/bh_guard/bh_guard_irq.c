// SPDX-License-Identifier: GPL-2.0
/*
 * Contexts for bh_guard_main.rs, and a softirq that tells when it runs.
 */

#include <linux/bottom_half.h>
#include <linux/hardirq.h>
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/irqflags.h>
#include <linux/jiffies.h>

#include "bh_guard.h"

static bool ran;

static void note(struct tasklet_struct *unused)
{
	WRITE_ONCE(ran, true);
}

static DECLARE_TASKLET(tasklet, note);

bool bh_guard_irqs_off(void)
{
	return irqs_disabled();
}

bool bh_guard_bh_off(void)
{
	return softirq_count();
}

/* A softirq waits from now on; with bottom halves and interrupts on it may run at once. */
void bh_guard_raise(void)
{
	WRITE_ONCE(ran, false);
	tasklet_schedule(&tasklet);
}

bool bh_guard_ran(void)
{
	return READ_ONCE(ran);
}

/*
 * Whether it runs, without help from here: the CPU is kept busy, and nothing turns
 * bottom halves on.
 */
bool bh_guard_runs(void)
{
	unsigned long end = jiffies + 10 * HZ;

	while (!bh_guard_ran() && time_before(jiffies, end))
		cpu_relax();
	return bh_guard_ran();
}

void bh_guard_end(void)
{
	tasklet_kill(&tasklet);
}

static bool (*to_call)(void);
static bool answer;

static void call(struct irq_work *unused)
{
	answer = to_call();
}

bool bh_guard_in_hardirq(bool (*f)(void))
{
	static struct irq_work work = IRQ_WORK_INIT_HARD(call);

	to_call = f;
	irq_work_queue(&work);
	irq_work_sync(&work);
	return answer;
}

/* As a handler that has turned interrupts on. */
bool bh_guard_in_open_hardirq(bool (*f)(void))
{
	bool result;

	__irq_enter_raw();
	result = f();
	__irq_exit_raw();
	return result;
}
