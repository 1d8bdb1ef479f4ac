#include "cmd/forge-init/init.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The image's files, not libc's idea of them: no NSS, bounded lines. */
#define LINE 1024

/* The next field of a line, cut at ':'. */
static char *
field(char **line)
{
	static char none[1];
	char *s = strsep(line, ":\n");

	return s ? s : none;
}

static bool
number(const char *s, unsigned *ret)
{
	char *end;
	unsigned long n = strtoul(s, &end, 10);

	if (end == s || *end || *s == '-' || n > 0xfffffffeUL)
		return false;
	*ret = (unsigned)n;
	return true;
}

static bool
passwd(const char *who, struct user *u)
{
	char line[LINE];
	FILE *f = fopen("/etc/passwd", "re");
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f)) {
		char *rest = line, *name = field(&rest), *uid, *gid;

		(void)field(&rest); /* password */
		uid = field(&rest);
		gid = field(&rest);
		if (strcmp(name, who) != 0 && strcmp(uid, who) != 0)
			continue;
		(void)field(&rest); /* full name */
		found = number(uid, &u->uid) && number(gid, &u->gid);
		(void)snprintf(u->name, sizeof(u->name), "%s", name);
		(void)snprintf(u->home, sizeof(u->home), "%s", field(&rest));
		(void)snprintf(u->shell, sizeof(u->shell), "%s", field(&rest));
	}
	if (f)
		(void)fclose(f);
	return found;
}

static void
add_groups(struct user *u)
{
	char line[LINE];
	FILE *f = fopen("/etc/group", "re");

	u->groups[0] = u->gid;
	u->ngroups = 1;
	while (f && u->ngroups < 64 && fgets(line, sizeof(line), f)) {
		char *rest = line, *member;
		unsigned gid;

		(void)field(&rest);
		(void)field(&rest);
		if (!number(field(&rest), &gid))
			continue;
		while ((member = strsep(&rest, ",\n")))
			if (*member && !strcmp(member, u->name)) {
				u->groups[u->ngroups++] = gid;
				break;
			}
	}
	if (f)
		(void)fclose(f);
}

/* "1000" or "1000:100" without a line in passwd. */
static bool
bare_number(const char *who, struct user *u)
{
	char text[32];
	char *gid;

	if (strlen(who) >= sizeof(text))
		return false;
	memcpy(text, who, strlen(who) + 1);
	gid = strchr(text, ':');
	if (gid)
		*gid++ = '\0';
	if (!number(text, &u->uid) || (gid && !number(gid, &u->gid)))
		return false;
	if (!gid)
		u->gid = u->uid;
	(void)snprintf(u->name, sizeof(u->name), "%u", u->uid);
	return true;
}

int
user_find(const char *who, struct user *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (!passwd(who, ret) && !bare_number(who, ret))
		return ENOENT;
	if (!ret->home[0])
		(void)snprintf(ret->home, sizeof(ret->home),
			ret->uid ? "/" : "/root");
	if (!ret->shell[0])
		(void)snprintf(ret->shell, sizeof(ret->shell), "/bin/sh");
	if (!strcmp(ret->name, "0"))
		(void)snprintf(ret->name, sizeof(ret->name), "root");
	add_groups(ret);
	return 0;
}
