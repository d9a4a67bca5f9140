// SPDX-License-Identifier: GPL-2.0
/*
 * What the netdev family of generic netlink knows of queues, NAPI instances and the
 * queues' counters: a line for each, "queue: id=0 ...", "napi: id=8193 ...", "qstats:
 * queue-id=0 ...", and "device: ..." for those of a device. (bpftool, ip and ethtool do
 * not ask it, and ynl wants Python.)
 */
#include <linux/genetlink.h>
#include <linux/netdev.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static char answer[65536];

static const char * const queue_names[] = {
	[NETDEV_A_QUEUE_ID] = "id",
	[NETDEV_A_QUEUE_IFINDEX] = "ifindex",
	[NETDEV_A_QUEUE_TYPE] = "type",
	[NETDEV_A_QUEUE_NAPI_ID] = "napi-id",
};

static const char * const napi_names[] = {
	[NETDEV_A_NAPI_IFINDEX] = "ifindex",
	[NETDEV_A_NAPI_ID] = "id",
	[NETDEV_A_NAPI_IRQ] = "irq",
};

static const char * const qstats_names[] = {
	[NETDEV_A_QSTATS_IFINDEX] = "ifindex",
	[NETDEV_A_QSTATS_QUEUE_TYPE] = "queue-type",
	[NETDEV_A_QSTATS_QUEUE_ID] = "queue-id",
	[NETDEV_A_QSTATS_RX_PACKETS] = "rx-packets",
	[NETDEV_A_QSTATS_TX_PACKETS] = "tx-packets",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct nlattr *next(const struct nlattr *attr)
{
	return (const void *)((const char *)attr + NLA_ALIGN(attr->nla_len));
}

/* Asks, with one attribute of @len bytes, if it has any. */
static int ask(int fd, int type, int cmd, int flags, int attr, const void *data, int len)
{
	struct {
		struct nlmsghdr head;
		struct genlmsghdr generic;
		struct nlattr attr;
		char data[8];
	} message = {
		.head.nlmsg_type = type,
		.head.nlmsg_flags = NLM_F_REQUEST | flags,
		.head.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN),
		.generic.cmd = cmd,
		.generic.version = 1,
		.attr.nla_type = attr,
		.attr.nla_len = NLA_HDRLEN + len,
	};

	if (len)
		message.head.nlmsg_len += NLA_HDRLEN + NLA_ALIGN(len);
	memcpy(message.data, data, len);
	return send(fd, &message, message.head.nlmsg_len, 0) < 0;
}

static const struct nlattr *attrs(const struct nlmsghdr *head)
{
	return (const void *)((const char *)head + NLMSG_LENGTH(GENL_HDRLEN));
}

static void print(const char *what, const struct nlmsghdr *head,
		  const char * const *names, size_t count)
{
	const struct nlattr *attr;

	printf("%s:", what);
	for (attr = attrs(head); (char *)attr < (char *)head + head->nlmsg_len; attr = next(attr))
		if (attr->nla_type < count && names[attr->nla_type])
			printf(" %s=%u", names[attr->nla_type], *(const unsigned int *)(attr + 1));
	printf("\n");
}

/* @scope: of what there are counters, if not 0. */
static int dump(int fd, int family, int cmd, unsigned int scope, const char *what,
		const char * const *names, size_t count)
{
	int size = scope ? sizeof(scope) : 0;
	const struct nlmsghdr *head;
	int len;

	if (ask(fd, family, cmd, NLM_F_DUMP, NETDEV_A_QSTATS_SCOPE, &scope, size))
		return 1;
	while ((len = recv(fd, answer, sizeof(answer), 0)) > 0) {
		for (head = (void *)answer; NLMSG_OK(head, len); head = NLMSG_NEXT(head, len)) {
			if (head->nlmsg_type == NLMSG_DONE)
				return 0;
			if (head->nlmsg_type == NLMSG_ERROR)
				return 1;
			print(what, head, names, count);
		}
	}
	return 1;
}

int main(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC), family = 0, len;
	const struct nlattr *attr;

	if (fd < 0 || ask(fd, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0, CTRL_ATTR_FAMILY_NAME,
			  "netdev", sizeof("netdev")))
		return 1;
	len = recv(fd, answer, sizeof(answer), 0);
	for (attr = attrs((void *)answer); (char *)attr < answer + len; attr = next(attr))
		if (attr->nla_type == CTRL_ATTR_FAMILY_ID)
			family = *(const unsigned short *)(attr + 1);
	if (!family)
		return 1;
	return dump(fd, family, NETDEV_CMD_QUEUE_GET, 0, "queue", queue_names,
		    COUNT(queue_names)) ||
	       dump(fd, family, NETDEV_CMD_NAPI_GET, 0, "napi", napi_names,
		    COUNT(napi_names)) ||
	       dump(fd, family, NETDEV_CMD_QSTATS_GET, NETDEV_QSTATS_SCOPE_QUEUE, "qstats",
		    qstats_names, COUNT(qstats_names)) ||
	       dump(fd, family, NETDEV_CMD_QSTATS_GET, 0, "device", qstats_names,
		    COUNT(qstats_names));
}
