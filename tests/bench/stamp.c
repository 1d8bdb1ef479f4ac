/* stamp FILE COMMAND...: a line with the time, ns since 1970, then become the
 * command. */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	struct timespec t;
	int fd;

	if (argc < 3 || clock_gettime(CLOCK_REALTIME, &t))
		return 125;
	fd = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || dprintf(fd, "%lld\n", (long long)t.tv_sec * 1000000000 +
				  t.tv_nsec) < 0)
		return 125;
	execvp(argv[2], argv + 2);
	return 126;
}
