// SPDX-License-Identifier: GPL-2.0
/*
 * Takes hold of received pages from user space and keeps them until its
 * standard input ends. Prints how much it has, in one line, when it has it.
 *
 *   hold splice PORT     TCP, spliced into pipes
 *   hold tee PORT        as above, and each pipe's pages in a second pipe too
 *   hold zerocopy PORT   TCP, mapped by TCP_ZEROCOPY_RECEIVE
 *   hold packet DEVICE   clones of all packets, in the queue of a packet socket
 *   hold relay PORT:ADDR:PORT   nothing: what arrives by TCP is sent on, spliced
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIPES 8

static int accept_on(int port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
	};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0), conn;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 1))
		err(1, "port %d", port);
	conn = accept(fd, NULL, NULL);
	if (conn < 0)
		err(1, "accept");
	close(fd);
	return conn;
}

static void hold(const char *what, size_t n)
{
	char c;

	printf("%s %zu\n", what, n);
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
}

static void hold_pipes(int conn, int second)
{
	size_t total = 0;
	int i, p[2], q[2];

	for (i = 0; i < PIPES; i++) {
		ssize_t n = 0;

		if (pipe(p) || pipe(q))
			err(1, "pipe");
		/* A full pipe makes the next splice wait, so one call a pipe. */
		while (n >= 0 && n < 40000) {
			ssize_t got = splice(conn, NULL, p[1], NULL, 65536,
					     SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

			if (got <= 0)
				break;
			n += got;
		}
		total += n;
		if (second && n > 0 && tee(p[0], q[1], n, SPLICE_F_NONBLOCK) < 0)
			err(1, "tee");
		usleep(100000);
	}
	hold("bytes", total);
}

static void relay(const char *to)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	int in, out, from_port, to_port, p[2];
	char ip[16];
	ssize_t n;

	if (sscanf(to, "%d:%15[0-9.]:%d", &from_port, ip, &to_port) != 3)
		errx(2, "%s: not PORT:ADDR:PORT", to);
	in = accept_on(from_port);
	out = socket(AF_INET, SOCK_STREAM, 0);
	addr.sin_port = htons(to_port);
	inet_pton(AF_INET, ip, &addr.sin_addr);
	if (connect(out, (struct sockaddr *)&addr, sizeof(addr)) || pipe(p))
		err(1, "connect");
	while ((n = splice(in, NULL, p[1], NULL, 65536, SPLICE_F_MOVE)) > 0) {
		while (n > 0) {
			ssize_t sent = splice(p[0], NULL, out, NULL, n,
					      SPLICE_F_MOVE);

			if (sent <= 0)
				err(1, "splice");
			n -= sent;
		}
	}
}

static void hold_mapped(int conn)
{
	const size_t size = 1 << 20;
	struct tcp_zerocopy_receive zc = {};
	socklen_t len = sizeof(zc);
	size_t mapped = 0;
	char *at = mmap(NULL, size, PROT_READ, MAP_SHARED, conn, 0);

	if (at == MAP_FAILED)
		err(1, "mmap");
	while (mapped < size) {
		struct pollfd p = { .fd = conn, .events = POLLIN };

		if (poll(&p, 1, 2000) <= 0)
			break;
		zc.address = (uintptr_t)at + mapped;
		zc.length = size - mapped;
		if (getsockopt(conn, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &zc, &len)) {
			if (errno == EIO) /* the end */
				break;
			err(1, "TCP_ZEROCOPY_RECEIVE");
		}
		mapped += zc.length;
		if (zc.recv_skip_hint) {
			/* What cannot be mapped is to be read. */
			char buf[65536];
			size_t skip = zc.recv_skip_hint;

			if (skip > sizeof(buf))
				skip = sizeof(buf);
			if (recv(conn, buf, skip, MSG_DONTWAIT) <= 0)
				break;
		}
	}
	hold("mapped", mapped);
	munmap(at, size);
}

static void hold_packets(const char *device)
{
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = if_nametoindex(device),
	};
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));

	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		err(1, "%s", device);
	hold("bound", 1);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		errx(2, "usage: hold splice|tee|zerocopy|packet|relay ARGUMENT");
	if (!strcmp(argv[1], "packet"))
		hold_packets(argv[2]);
	else if (!strcmp(argv[1], "relay"))
		relay(argv[2]);
	else if (!strcmp(argv[1], "zerocopy"))
		hold_mapped(accept_on(atoi(argv[2])));
	else
		hold_pipes(accept_on(atoi(argv[2])), !strcmp(argv[1], "tee"));
	return 0;
}
