// SPDX-License-Identifier: GPL-2.0
/*
 * What the modules under test ask the kernel for is refused, once in "of" calls: then
 * the one of "functions" that is called returns "result" at once, as it does when the
 * kernel has nothing to give. Others, whose calls do not return to addresses between "from"
 * and "to", notice nothing. "refused" counts.
 *
 * Other than the kernel's fault injection this needs no kernel built for it, knows
 * of more than memory, and leaves nothing half done by others.
 */

#include <linux/atomic.h>
#include <linux/jhash.h>
#include <linux/kprobes.h>
#include <linux/linkage.h>
#include <linux/module.h>
#include <linux/objtool.h>
#include <linux/ptrace.h>
#include <linux/random.h>

static char *functions[4];
static int count;
module_param_array(functions, charp, &count, 0444);
static long result;
module_param(result, long, 0444);
static unsigned long from, to;
module_param(from, ulong, 0444);
module_param(to, ulong, 0444);
static unsigned int of = 2;
module_param(of, uint, 0444);

static atomic_t asked, refused;
static u32 seed;

static int refused_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%d\n", atomic_read(&refused));
}

static const struct kernel_param_ops refused_ops = { .get = refused_get };
module_param_cb(refused, &refused_ops, NULL, 0444);

/* Where a refused call goes instead: back to its caller. See just_return_func(). */
asmlinkage void refuse_return(void);
asm("	.text\n"
	"	.type refuse_return, @function\n"
	ASM_FUNC_ALIGN
	"refuse_return:\n"
	ANNOTATE_NOENDBR "\n"
	ASM_RET
	"	.size refuse_return, .-refuse_return\n");

/* Of the first "of" calls one, of the next "of" calls one, and so on: nobody knows which. */
static bool chosen(void)
{
	u32 n = atomic_fetch_inc(&asked);

	return n % of == jhash_1word(n / of, seed) % of;
}

static int refuse(struct kprobe *probe, struct pt_regs *regs)
{
	unsigned long caller = regs_get_kernel_stack_nth(regs, 0);

	if (caller < from || caller >= to || !chosen())
		return 0;
	atomic_inc(&refused);
	regs->ax = result;
	instruction_pointer_set(regs, (unsigned long)refuse_return);
	return 1;
}

/* A probe with one of these is not optimized into a jump, which could not be led elsewhere. */
static void after(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

static struct kprobe probes[ARRAY_SIZE(functions)];

static void unregister(void)
{
	int i;

	for (i = 0; i < count; i++)
		if (probes[i].addr)
			unregister_kprobe(&probes[i]);
}

static int __init refuse_init(void)
{
	int i, err, registered = 0;

	if (!of)
		return -EINVAL;
	seed = get_random_u32();
	for (i = 0; i < count; i++) {
		probes[i].symbol_name = functions[i];
		probes[i].pre_handler = refuse;
		probes[i].post_handler = after;
		err = register_kprobe(&probes[i]);
		registered += !err;
		/* Kernels differ in what is inline. */
		if (!err)
			continue;
		probes[i].addr = NULL;
		if (err == -ENOENT)
			continue;
		unregister();
		return err;
	}
	return registered ? 0 : -ENOENT;
}
module_init(refuse_init);

static void __exit refuse_exit(void)
{
	unregister();
}
module_exit(refuse_exit);

MODULE_DESCRIPTION("Calls that fail");
MODULE_LICENSE("GPL");
