// SPDX-License-Identifier: GPL-2.0
/*
 * Takes hold of received pages from user space and keeps them until its
 * standard input ends. Prints how much it has, in one line, when it has it.
 * With a FILE it writes there, in the end, what the pages have in them.
 *
 *   hold socket PORT [FILE]     UDP, in the queue of a socket
 *   hold bursts PORT PAUSE      as above; lets go of a few packets at a time, with
 *                               PAUSE microseconds between
 *   hold splice PORT [FILE]     TCP, spliced into pipes
 *   hold tee PORT [FILE]        as above, and each pipe's pages in a second pipe
 *                               too, from which they are read
 *   hold zerocopy PORT [FILE]   TCP, mapped by TCP_ZEROCOPY_RECEIVE; what that
 *                               does not map goes the way of tee
 *   hold mapping PORT [FILE]    UDP, mapped by the module of tests/modules/mapper, and nowhere
 *                               else
 *   hold packet DEVICE [FILE]   clones of all packets, in the queue of a packet
 *                               socket
 *   hold tap DEVICE [FILE]      frames in the ring of a tap device, which it makes
 *   hold relay PORT:ADDR:PORT   nothing: what arrives by TCP is sent on, spliced
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/ip.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIPES 16
/* Pages, the first of which tells of the others. */
#define MAPPED 801
/* Pages of a TCP connection. */
#define MAPPED_TCP 1000
/* Of the frames in a queue, those to this UDP port are written to FILE. */
#define PORT 7000
/* Packets that go at a time. */
#define BURST 2

static const char *file;
static FILE *out;

static void write_bytes(const char *data, size_t n)
{
	if (fwrite(data, 1, n, out) != n)
		err(1, "%s", file);
}

static void write_payload(const char *frame, size_t n)
{
	const struct iphdr *ip = (const void *)(frame + ETH_HLEN);
	const struct udphdr *udp = (const void *)(ip + 1);

	if (n >= ETH_HLEN + sizeof(*ip) + sizeof(*udp) &&
	    ip->version == 4 && ip->protocol == IPPROTO_UDP &&
	    udp->dest == htons(PORT))
		write_bytes((const char *)(udp + 1), ntohs(udp->len) - sizeof(*udp));
}

/* Reads all that is there. */
static void drain(int fd, void (*write)(const char *, size_t))
{
	static char buf[65536];
	ssize_t n;

	if (!file)
		return;
	if (!out)
		out = fopen(file, "w");
	if (!out || fcntl(fd, F_SETFL, O_NONBLOCK))
		err(1, "%s", file);
	for (;;) {
		n = read(fd, buf, sizeof(buf));
		if (n > 0)
			write(buf, n);
		/* A packet socket tells once that its device went. */
		else if (n == 0 || errno != ENETDOWN)
			break;
	}
	fflush(out);
}

static void report(const char *what, size_t n)
{
	printf("%s %zu\n", what, n);
	fflush(stdout);
}

static void hold(void)
{
	char c;

	while (read(0, &c, 1) > 0)
		;
}

static int listen_on(int type, int port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
	};
	int one = 1, fd = socket(AF_INET, type, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    (type == SOCK_STREAM && listen(fd, 1)))
		err(1, "port %d", port);
	return fd;
}

static int accept_on(int port)
{
	int fd = listen_on(SOCK_STREAM, port), conn = accept(fd, NULL, NULL);

	if (conn < 0)
		err(1, "accept");
	close(fd);
	return conn;
}

static void set_room(int fd, int bytes)
{
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		err(1, "SO_RCVBUFFORCE");
}

static void let_go_in_bursts(int fd, int usec)
{
	char c;
	int i;

	for (i = 1; recv(fd, &c, 1, MSG_DONTWAIT) >= 0; i++)
		if (i % BURST == 0)
			usleep(usec);
}

static void hold_socket(int port, int usec)
{
	int fd = listen_on(SOCK_DGRAM, port);

	/* For more than a whole pool. */
	set_room(fd, 256 << 20);
	report("bound", 1);
	hold();
	if (usec)
		let_go_in_bursts(fd, usec);
	else
		drain(fd, write_bytes);
}

static void hold_pipes(int conn, int second)
{
	int i, p[PIPES][2], q[PIPES][2];
	size_t total = 0;

	for (i = 0; i < PIPES; i++) {
		ssize_t got, n = 0;

		if (pipe(p[i]) || pipe(q[i]))
			err(1, "pipe");
		/* Waits for data, but not for room in the pipe. */
		while ((got = splice(conn, NULL, p[i][1], NULL, 65536,
				     SPLICE_F_MOVE | SPLICE_F_NONBLOCK)) > 0)
			n += got;
		total += n;
		if (second && n > 0 &&
		    tee(p[i][0], q[i][1], n, SPLICE_F_NONBLOCK) != n)
			err(1, "tee");
	}
	report("bytes", total);
	hold();
	for (i = 0; i < PIPES; i++) {
		if (second)
			close(p[i][0]);
		drain(second ? q[i][0] : p[i][0], write_bytes);
	}
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

/*
 * Whole pages only can be mapped. A driver that receives headers and data into
 * one page has none, so recv_skip_hint says that the rest is to be read.
 */
static void hold_mapped(int conn)
{
	/* What was read, behind so many bytes that were mapped. */
	static struct { size_t behind; ssize_t len; char *data; } pieces[1000];
	const size_t size = MAPPED_TCP * 4096;
	struct tcp_zerocopy_receive zc = {};
	struct pollfd p = { .fd = conn, .events = POLLIN };
	socklen_t len = sizeof(zc);
	size_t mapped = 0, from = 0, n = 0, i;
	char *at = mmap(NULL, size, PROT_READ, MAP_SHARED, conn, 0);

	if (at == MAP_FAILED)
		err(1, "mmap");
	while (mapped < size && n < 1000 && poll(&p, 1, 20000) > 0) {
		zc.address = (uintptr_t)at + mapped;
		zc.length = size - mapped;
		if (getsockopt(conn, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &zc, &len))
			err(1, "TCP_ZEROCOPY_RECEIVE");
		mapped += zc.length;
		if (!zc.recv_skip_hint)
			continue;
		/* It is not the one or other segment that cannot be mapped. */
		if (!mapped && n == 4)
			break;
		pieces[n].behind = mapped;
		pieces[n].data = malloc(zc.recv_skip_hint);
		pieces[n].len = recv(conn, pieces[n].data, zc.recv_skip_hint, 0);
		if (pieces[n++].len <= 0)
			errx(1, "the connection ended");
	}
	report("mapped", mapped);
	if (!mapped) {
		hold_pipes(conn, 1);
	} else {
		hold();
		out = file ? fopen(file, "w") : NULL;
		for (i = 0; out && i < n; i++) {
			write_bytes(at + from, pieces[i].behind - from);
			write_bytes(pieces[i].data, pieces[i].len);
			from = pieces[i].behind;
		}
		if (out) {
			write_bytes(at + from, mapped - from);
			fclose(out);
		}
	}
	munmap(at, size);
}

/* Until packets have come, and come no more. */
static void wait_for_packets(int fd)
{
	unsigned int now[SK_MEMINFO_VARS] = {}, before;
	socklen_t len = sizeof(now);

	do {
		before = now[SK_MEMINFO_RMEM_ALLOC];
		sleep(1);
		if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, now, &len))
			err(1, "SO_MEMINFO");
	} while (!now[SK_MEMINFO_RMEM_ALLOC] || now[SK_MEMINFO_RMEM_ALLOC] != before);
}

static void hold_mapping(int port)
{
	int n = 0, fd = listen_on(SOCK_DGRAM, port), dev = open("/dev/mapper_test", O_RDONLY);
	const struct { unsigned short offset, len; } *place;
	const char *at;

	set_room(fd, 256 << 20);
	report("bound", 1);
	wait_for_packets(fd);
	at = mmap(NULL, MAPPED * 4096, PROT_READ, MAP_SHARED, dev, fd * 4096);
	if (at == MAP_FAILED)
		err(1, "/dev/mapper_test");
	close(fd);
	place = (const void *)at;
	while (n < MAPPED - 1 && place[n].len)
		n++;
	report("mapped", n);
	hold();
	out = file ? fopen(file, "w") : NULL;
	for (int i = 0; out && i < n; i++)
		write_bytes(at + (i + 1) * 4096 + place[i].offset, place[i].len);
	if (out)
		fclose(out);
	munmap((void *)at, MAPPED * 4096);
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
	set_room(fd, 2 << 20);
	report("bound", 1);
	hold();
	drain(fd, write_payload);
}

static void hold_tap(const char *device)
{
	struct ifreq req = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR);

	snprintf(req.ifr_name, IFNAMSIZ, "%s", device);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &req))
		err(1, "%s", device);
	report("bound", 1);
	hold();
	drain(fd, write_payload);
}

int main(int argc, char **argv)
{
	const char *how = argv[1], *arg = argv[2];

	if (argc < 3)
		errx(2, "usage: hold HOW WHERE [FILE]");
	file = argv[3];
	if (!strcmp(how, "packet"))
		hold_packets(arg);
	else if (!strcmp(how, "tap"))
		hold_tap(arg);
	else if (!strcmp(how, "relay"))
		relay(arg);
	else if (!strcmp(how, "socket"))
		hold_socket(atoi(arg), 0);
	else if (!strcmp(how, "bursts") && argc > 3)
		hold_socket(atoi(arg), atoi(argv[3]));
	else if (!strcmp(how, "mapping"))
		hold_mapping(atoi(arg));
	else if (!strcmp(how, "zerocopy"))
		hold_mapped(accept_on(atoi(arg)));
	else
		hold_pipes(accept_on(atoi(arg)), !strcmp(how, "tee"));
	return 0;
}
