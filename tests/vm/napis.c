// SPDX-License-Identifier: GPL-2.0
/*
 * What the netdev family of generic netlink knows of queues and NAPI instances: a
 * line for each, "queue: id=0 ...", "napi: id=8193 ...". (bpftool, ip and ethtool do
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

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct nlattr *next(const struct nlattr *attr)
{
	return (const void *)((const char *)attr + NLA_ALIGN(attr->nla_len));
}

/* Asks; "family" is for the question what number the netdev family has. */
static int ask(int fd, int type, int cmd, int family)
{
	struct {
		struct nlmsghdr head;
		struct genlmsghdr generic;
		struct nlattr attr;
		char name[8];
	} message = {
		.head.nlmsg_type = type,
		.head.nlmsg_flags = NLM_F_REQUEST | (family ? 0 : NLM_F_DUMP),
		.head.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN),
		.generic.cmd = cmd,
		.generic.version = 1,
		.attr.nla_type = CTRL_ATTR_FAMILY_NAME,
		.attr.nla_len = NLA_HDRLEN + sizeof("netdev"),
		.name = "netdev",
	};

	if (family)
		message.head.nlmsg_len = sizeof(message);
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

static int dump(int fd, int family, int cmd, const char *what,
		const char * const *names, size_t count)
{
	const struct nlmsghdr *head;
	int len;

	if (ask(fd, family, cmd, 0))
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

	if (fd < 0 || ask(fd, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1))
		return 1;
	len = recv(fd, answer, sizeof(answer), 0);
	for (attr = attrs((void *)answer); (char *)attr < answer + len; attr = next(attr))
		if (attr->nla_type == CTRL_ATTR_FAMILY_ID)
			family = *(const unsigned short *)(attr + 1);
	if (!family)
		return 1;
	return dump(fd, family, NETDEV_CMD_QUEUE_GET, "queue", queue_names, COUNT(queue_names)) ||
	       dump(fd, family, NETDEV_CMD_NAPI_GET, "napi", napi_names, COUNT(napi_names));
}
