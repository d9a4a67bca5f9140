// SPDX-License-Identifier: GPL-2.0
/*
 * Maps the pages of a socket's packets into a process, as TCP_ZEROCOPY_RECEIVE does it
 * with packets that fill their pages, which those of a small MTU never do.
 *
 *	mmap(NULL, size, PROT_READ, MAP_SHARED, open("/dev/mapper_test"), socket * 4096)
 *
 * The first page then has where in each of the following ones a packet is, and how
 * long; the packets stay in the socket's queue as well.
 */

#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/skbuff.h>
#include <net/sock.h>

struct place {
	u16 offset;
	u16 len;
};

#define PLACES (PAGE_SIZE / sizeof(struct place))

/* Each with a reference. */
static unsigned int get_pages(struct sock *sk, struct page **pages,
			      struct place *places, unsigned int max)
{
	struct sk_buff *skb;
	unsigned int n = 0;

	spin_lock_bh(&sk->sk_receive_queue.lock);
	skb_queue_walk(&sk->sk_receive_queue, skb) {
		if (n == max)
			break;
		/* Others have their data in slab objects, or in several places. */
		if (!skb->head_frag || skb_is_nonlinear(skb))
			continue;
		pages[n] = virt_to_head_page(skb->head);
		get_page(pages[n]);
		places[n].offset = offset_in_page(skb->data);
		places[n].len = skb->len;
		n++;
	}
	spin_unlock_bh(&sk->sk_receive_queue.lock);
	return n;
}

static int mapper_mmap(struct file *file, struct vm_area_struct *vma)
{
	unsigned long at = vma->vm_start;
	struct page *list, **pages;
	struct socket *sock;
	unsigned int i, n;
	int err;

	if (vma->vm_flags & VM_WRITE || vma_pages(vma) > PLACES)
		return -EINVAL;
	sock = sockfd_lookup(vma->vm_pgoff, &err);
	if (!sock)
		return err;
	list = alloc_page(GFP_KERNEL | __GFP_ZERO);
	pages = kcalloc(PLACES, sizeof(*pages), GFP_KERNEL);
	err = -ENOMEM;
	if (!list || !pages)
		goto out;
	n = get_pages(sock->sk, pages, page_address(list), vma_pages(vma) - 1);
	err = vm_insert_page(vma, at, list);
	for (i = 0; i < n; i++) {
		at += PAGE_SIZE;
		if (!err)
			err = vm_insert_page(vma, at, pages[i]);
		put_page(pages[i]);
	}
out:
	kfree(pages);
	if (list)
		put_page(list);
	sockfd_put(sock);
	return err;
}

static const struct file_operations mapper_fops = {
	.owner = THIS_MODULE,
	.mmap = mapper_mmap,
};

static struct miscdevice mapper = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "mapper_test",
	.fops = &mapper_fops,
};
module_misc_device(mapper);

MODULE_DESCRIPTION("Packets of a socket, mapped");
MODULE_LICENSE("GPL");
