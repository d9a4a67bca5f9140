// SPDX-License-Identifier: GPL-2.0
/*
 * held BYTES: receives UDP packets on port 9, pktgen's, and reads them so late that as
 * many bytes of memory are always in the socket's queue. So their pages are in flight
 * for a while, and come back in process context.
 */
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static const int port = 9;

/* How much memory the queue holds. */
static unsigned int queued(int fd)
{
	unsigned int info[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len)) {
		perror("held: SO_MEMINFO");
		exit(1);
	}
	return info[SK_MEMINFO_RMEM_ALLOC];
}

int main(int argc, char **argv)
{
	const struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
	};
	unsigned int keep = argc > 1 ? strtoul(argv[1], NULL, 0) : 0;
	int fd = socket(AF_INET, SOCK_DGRAM, 0), room = 256 << 20, i;
	char byte;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) ||
	    bind(fd, (const struct sockaddr *)&addr, sizeof(addr))) {
		perror("held");
		return 1;
	}
	for (;;) {
		while (queued(fd) > keep)
			for (i = 0; i < 32; i++)
				recv(fd, &byte, 1, MSG_DONTWAIT | MSG_TRUNC);
		usleep(200);
	}
}
