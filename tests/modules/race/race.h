/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _RACE_H
#define _RACE_H

#include <linux/types.h>

struct page;

int race_start(struct page **pages, size_t count);
void race_wait(void);
int race_widen(void);
void race_narrow(void);

#endif
