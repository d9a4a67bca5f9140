// SPDX-License-Identifier: GPL-2.0
/*
 * Receives over TCP without a copy: the pages that the network card has written are mapped
 * into this process, read-only, and go back to the driver's pool when the mapping does.
 *
 *   receive [-p PORT] [-o FILE] [-k MB] [-r]
 *
 * Listens on PORT (default 7001), takes one connection, and reads all that comes. At the end it
 * says how much was mapped, and how much had to be copied. FILE gets what was received, in its
 * order. With -k the first MB are kept mapped until the end, instead of being let go when the
 * next have come; -r uses recv(), to compare.
 *
 * What it takes to have pages that can be mapped is in
 * Documentation/networking/rust_zero_copy.rst: a driver that keeps headers apart, and segments
 * that fill a page. Without those all is copied, and nothing else is different.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <linux/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* What is mapped at a time. More of it means fewer calls, and more pages away from the pool. */
#define WINDOW (512 << 10)
#define PAGE 4096

static FILE *out;
static unsigned long long mapped, copied;

/* What an application would do with the data, which it may read and not write. */
static void use(const void *data, size_t len)
{
	if (out && fwrite(data, 1, len, out) != len)
		err(1, "cannot write what was received");
}

static int accept_one(int port)
{
	/* Both IPv6 and IPv4. */
	struct sockaddr_in6 addr = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int one = 1, off = 0, fd, conn;

	fd = socket(AF_INET6, SOCK_STREAM, 0);
	if (fd < 0)
		err(1, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 1))
		err(1, "cannot listen on port %d", port);
	conn = accept(fd, NULL, NULL);
	if (conn < 0)
		err(1, "accept");
	close(fd);
	return conn;
}

/* Waits for data; 0: there will be none. */
static int wait_for_data(int conn)
{
	ssize_t n;
	char c;

	n = recv(conn, &c, 1, MSG_PEEK);
	if (n < 0)
		err(1, "the connection broke");
	return n > 0;
}

static void receive_by_copy(int conn, size_t most)
{
	static char buf[WINDOW];
	ssize_t n;

	n = recv(conn, buf, most && most < sizeof(buf) ? most : sizeof(buf), MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN)
		err(1, "the connection broke");
	if (n > 0) {
		use(buf, n);
		copied += n;
	}
}

/*
 * Maps what is there at @at, up to @room bytes, and returns how many bytes of whole pages that
 * was. What cannot be mapped (the end of a message, a packet that the driver has copied because
 * too many of its pages are kept) is copied into @buf by the same call.
 *
 * As many bytes as it maps were let go of at @at before.
 */
static size_t receive_mapped(int conn, char *at, size_t room)
{
	/* (As long as all that is there fits into it, the kernel maps nothing.) */
	static char buf[PAGE - 1];
	struct tcp_zerocopy_receive zc = {
		.address = (uintptr_t)at,
		.length = room,
		.copybuf_address = (uintptr_t)buf,
		.copybuf_len = sizeof(buf),
	};
	socklen_t len = sizeof(zc);

	if (getsockopt(conn, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &zc, &len)) {
		/* It finds nothing, and thinks that there will be nothing. */
		if (errno != EIO)
			err(1, "TCP_ZEROCOPY_RECEIVE");
		receive_by_copy(conn, 0);
		return 0;
	}
	/* In the order of the stream: the pages, what is behind them, and what is for recv(). */
	if (zc.length)
		use(at, zc.length);
	mapped += zc.length;
	if (zc.copybuf_len < 0) {
		errno = -zc.copybuf_len;
		err(1, "TCP_ZEROCOPY_RECEIVE");
	}
	if (zc.copybuf_len) {
		use(buf, zc.copybuf_len);
		copied += zc.copybuf_len;
	}
	if (zc.err) {
		errno = -zc.err;
		err(1, "the connection broke");
	}
	/* An urgent byte is nothing to it either, and has to be stepped over. */
	if (zc.recv_skip_hint || (!zc.length && !zc.copybuf_len))
		receive_by_copy(conn, zc.recv_skip_hint);
	return zc.length;
}

int main(int argc, char **argv)
{
	int port = 7001, plain = 0, conn, opt;
	size_t keep = 0, kept = 0;
	struct timespec start, end;
	double seconds;
	char *at;

	while ((opt = getopt(argc, argv, "p:o:k:r")) != -1) {
		switch (opt) {
		case 'p':
			port = atoi(optarg);
			break;
		case 'o':
			out = fopen(optarg, "w");
			if (!out)
				err(1, "%s", optarg);
			break;
		case 'k':
			keep = (size_t)atoi(optarg) << 20;
			break;
		case 'r':
			plain = 1;
			break;
		default:
			errx(2, "usage: receive [-p PORT] [-o FILE] [-k MB] [-r]");
		}
	}

	conn = accept_one(port);
	clock_gettime(CLOCK_MONOTONIC, &start);

	/* A place for pages of this connection. Nothing can be read there yet. */
	at = mmap(NULL, keep + WINDOW, PROT_READ, MAP_SHARED, conn, 0);
	if (at == MAP_FAILED)
		err(1, "mmap of a TCP connection");

	while (wait_for_data(conn)) {
		if (plain)
			receive_by_copy(conn, 0);
		else if (kept < keep)
			kept += receive_mapped(conn, at + kept, WINDOW);
		else
			receive_mapped(conn, at + keep, WINDOW);
	}

	clock_gettime(CLOCK_MONOTONIC, &end);
	seconds = end.tv_sec - start.tv_sec + (end.tv_nsec - start.tv_nsec) / 1e9;
	printf("received %llu bytes in %.3f s: mapped %llu (%.1f %%), copied %llu\n",
	       mapped + copied, seconds, mapped,
	       mapped + copied ? 100.0 * mapped / (mapped + copied) : 0.0,
	       copied);
	munmap(at, keep + WINDOW);
	close(conn);
	if (out && fclose(out))
		err(1, "cannot write what was received");
	return 0;
}
