#include "lib/vm/driver_program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/proc.h"
#include "lib/base/banned.h"

#define ANSWER_MAX 65536
#define ANSWER_TIMEOUT 30000 /* ms; a snapshot writes the guest's memory */

int
driver_enter(const struct json *spec, struct err *err)
{
	const char *dir = json_str(spec, "dir", "");
	int console = (int)json_int(spec, "fds.console", -1);

	if (chdir(dir))
		return err_sys(err, "cannot enter '%s'", dir);
	if (dup2(console, STDIN_FILENO) < 0 ||
		dup2(console, STDOUT_FILENO) < 0)
		return err_sys(err, "no console");
	if (console > STDERR_FILENO)
		(void)close(console); /* a copy */
	return 0;
}

int
driver_kvm(const char **ret_fix, struct err *why)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd >= 0) {
		(void)close(fd); /* nothing was written */
		return 0;
	}
	*ret_fix = errno == EACCES ?
		"adduser $USER kvm, then log in again" :
		"switch virtualisation on (firmware, or nested in the host)";
	return err_sys(why, "/dev/kvm");
}

/* The text of the answer, and after it "\nSTATUS". */
static int
judge(struct buf *answer, const char *path, struct err *err)
{
	char *status = strrchr(answer->s, '\n');
	long code;

	if (!status)
		return err_set(err, ERR_INVALID, "'%s': no answer", path);
	*status++ = '\0';
	code = strtol(status, NULL, 10);
	if (code >= 200 && code < 300)
		return 0;
	err_clean(answer->s);
	return err_set(err, ERR_SYS, "'%s' is refused with status %ld%s%.200s",
		path, code, *answer->s ? ": " : "", answer->s);
}

int
driver_api(const struct json *spec, const char *method, const char *path,
	const struct json *body, struct err *err)
{
	CLEANUP_PROC struct proc p = PROC_INIT;
	CLEANUP_BUF struct buf in = BUF_INIT, out = BUF_INIT;
	const char *dir = json_str(spec, "dir", "");

	/* A name in the working directory: the path may be too long. */
	p.dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p.dirfd < 0)
		return err_sys(err, "cannot enter '%s'", dir);
	argv_pushv(&p.argv, (const char *[]){ "curl", "-q", "-sS",
			      "--unix-socket", DRIVER_API, "--max-time", "20",
			      "-w", "\\n%{http_code}", "-X", method, NULL });
	if (body) {
		json_write(body, &in);
		argv_pushv(&p.argv, (const char *[]){ "-H",
				      "Content-Type: application/json",
				      "--data-binary", "@-", NULL });
	}
	argv_pushf(&p.argv, "http://localhost%s", path);
	if (proc_run(&p, &in, &out, ANSWER_MAX, ANSWER_TIMEOUT, err))
		(void)err_wrap(err, "'%s' cannot be asked", path);
	(void)close(p.dirfd); /* read only */
	return err->code ? -1 : judge(&out, path, err);
}
