/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _BH_GUARD_H
#define _BH_GUARD_H

#include <linux/types.h>

bool bh_guard_irqs_off(void);
bool bh_guard_bh_off(void);
void bh_guard_raise(void);
bool bh_guard_ran(void);
bool bh_guard_runs(void);
void bh_guard_end(void);
bool bh_guard_in_hardirq(bool (*f)(void));
bool bh_guard_in_open_hardirq(bool (*f)(void));

#endif
