/*
 * The least that a CGI program can do to have a POST on the disk before it
 * answers: a file of its own, as a maildir does it.  Nothing is checked.  What
 * tests/bench/webhook tells the price of the disk by.  Files go to $KEPT.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int
main(void)
{
	const char *length = getenv("CONTENT_LENGTH"), *kept = getenv("KEPT");
	long left = length ? strtol(length, NULL, 10) : 0;
	char bin[65536], tmp[32], name[32];
	int dir = open(kept ? kept : ".", O_RDONLY | O_DIRECTORY), fd;

	(void)snprintf(tmp, sizeof(tmp), "tmp.%ld", (long)getpid());
	(void)snprintf(name, sizeof(name), "new.%ld", (long)getpid());
	fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0)
		return 1;
	while (left > 0) {
		ssize_t n = read(STDIN_FILENO, bin, sizeof(bin));

		if (n <= 0 || write(fd, bin, (size_t)n) != n)
			return 1;
		left -= n;
	}
	if (fsync(fd) || renameat(dir, tmp, dir, name) || fsync(dir))
		return 1;
	(void)puts("Status: 202 Accepted\r\nContent-Type: application/json\r\n"
		   "Content-Length: 3\r\n\r\n{}");
	return 0;
}
