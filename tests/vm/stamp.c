// SPDX-License-Identifier: GPL-2.0
/*
 * Sends a UDP packet, and waits for the time at which the driver sent it
 * (Documentation/networking/timestamping.rst).
 *
 *   stamp ADDRESS PORT
 */
#include <arpa/inet.h>
#include <err.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	int flags = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
	struct sockaddr_in to = { .sin_family = AF_INET };
	char data[64] = "", control[512];
	struct iovec iov = { data, sizeof(data) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct pollfd pfd = { .events = POLLERR };
	struct cmsghdr *c;

	if (argc != 3 || !inet_aton(argv[1], &to.sin_addr))
		errx(2, "usage: stamp ADDRESS PORT");
	to.sin_port = htons(atoi(argv[2]));
	pfd.fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (setsockopt(pfd.fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof(flags)))
		err(1, "SO_TIMESTAMPING");
	if (sendto(pfd.fd, data, sizeof(data), 0, (void *)&to, sizeof(to)) < 0)
		err(1, "sendto");
	if (poll(&pfd, 1, 2000) != 1)
		errx(1, "no time stamp");
	if (recvmsg(pfd.fd, &msg, MSG_ERRQUEUE) < 0)
		err(1, "recvmsg");
	for (c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		struct scm_timestamping *t = (void *)CMSG_DATA(c);

		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPING) {
			printf("%lld.%09ld\n", (long long)t->ts[0].tv_sec, t->ts[0].tv_nsec);
			return t->ts[0].tv_sec == 0;
		}
	}
	errx(1, "no time stamp in it");
}
