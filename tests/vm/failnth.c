// SPDX-License-Identifier: GPL-2.0
/*
 * Makes one system call, in which the kernel's NTH allocation fails
 * (Documentation/fault-injection/fault-injection.rst, /proc/self/fail-nth). Prints
 * "fault" or "complete", whether it came to that, and what the call returned.
 *
 *   failnth NTH write FILE TEXT
 *   failnth NTH up DEVICE
 *   failnth NTH rings DEVICE ENTRIES
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int fail_nth;

static void arm(const char *nth)
{
	fail_nth = open("/proc/thread-self/fail-nth", O_RDWR);
	if (fail_nth < 0 || write(fail_nth, nth, strlen(nth)) < 0)
		err(2, "fail-nth");
}

int main(int argc, char **argv)
{
	struct ethtool_ringparam rings = { .cmd = ETHTOOL_GRINGPARAM };
	struct ifreq ifr = {};
	char left[16] = "";
	int fd, result;

	if (argc < 4)
		errx(2, "usage: failnth NTH write|up|rings ...");
	if (!strcmp(argv[2], "write") && argc == 5) {
		fd = open(argv[3], O_WRONLY);
		if (fd < 0)
			err(2, "%s", argv[3]);
		arm(argv[1]);
		result = write(fd, argv[4], strlen(argv[4])) < 0 ? errno : 0;
	} else {
		fd = socket(AF_INET, SOCK_DGRAM, 0);
		snprintf(ifr.ifr_name, IFNAMSIZ, "%s", argv[3]);
		if (argc == 5) {
			ifr.ifr_data = (void *)&rings;
			if (ioctl(fd, SIOCETHTOOL, &ifr))
				err(2, "%s", argv[3]);
			rings.cmd = ETHTOOL_SRINGPARAM;
			rings.rx_pending = atoi(argv[4]);
			rings.tx_pending = rings.rx_pending;
		} else {
			if (ioctl(fd, SIOCGIFFLAGS, &ifr))
				err(2, "%s", argv[3]);
			ifr.ifr_flags |= IFF_UP;
		}
		arm(argv[1]);
		result = ioctl(fd, argc == 5 ? SIOCETHTOOL : SIOCSIFFLAGS, &ifr) ? errno : 0;
	}
	/* What is left to count is in there; nothing, if it failed. */
	if (pread(fail_nth, left, sizeof(left) - 1, 0) < 0)
		err(2, "fail-nth");
	printf("%s %s\n", atoi(left) ? "complete" : "fault", result ? strerror(result) : "ok");
	return 0;
}
