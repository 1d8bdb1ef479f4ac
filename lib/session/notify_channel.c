#include "lib/session/notify_channel.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/net/http.h"
#include "lib/session/policy_internal.h"
#include "lib/state/config.h"
#include "lib/state/state.h"
#include "lib/base/banned.h"

enum { SECRET_MAX = 4096, TIMEOUT = 10000 };

static const char *const kind_names[] = {
	[CHANNEL_WEBHOOK] = "webhook",
	[CHANNEL_NTFY] = "ntfy",
	[CHANNEL_COMMAND] = "command",
};
_Static_assert(ARRAY_SIZE(kind_names) == CHANNEL_KIND__MAX, "names");

const char *
channel_kind_name(enum channel_kind k)
{
	return kind_names[k];
}

static const char *
setting(struct config *c, const struct channel *ch, const char *key)
{
	return config_str(c, "notify", ch->name, key, NULL);
}

static int
choose_kind(struct config *c, struct channel *ch, struct err *err)
{
	static const char *const keys[] = { "url", "ntfy", "command" };
	const char *to = NULL;
	size_t i, n = 0;

	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *s = setting(c, ch, keys[i]);

		if (!s)
			continue;
		n++;
		to = s;
		ch->kind = (enum channel_kind)i;
	}
	if (n != 1 || !*to)
		return err_set(err, ERR_INVALID,
			"set one of notify.%s.url, .ntfy and .command",
			ch->name);
	ch->to = xstrdup(to);
	return 0;
}

/* "https://host/topic": the server takes JSON at its root. */
static int
split_topic(struct channel *ch, struct err *err)
{
	char *slash = strrchr(ch->to, '/');

	if (!slash || !slash[1] || slash == ch->to || slash[-1] == '/')
		return err_set(err, ERR_INVALID,
			"notify.%s.ntfy: write https://SERVER/TOPIC", ch->name);
	ch->topic = xstrdup(slash + 1);
	slash[1] = '\0';
	return 0;
}

/* The one line of a file that only we should be able to read. */
static int
read_line(struct config *c, const struct channel *ch, const char *key,
	struct buf *ret, struct err *err)
{
	const char *path = setting(c, ch, key);

	if (!path)
		return 0;
	if (fs_read(AT_FDCWD, path, SECRET_MAX, ret, err))
		return err_wrap(err, "notify.%s.%s", ch->name, key);
	buf_rtrim(ret);
	if (!ret->len) /* anybody can sign with that */
		return err_set(err, ERR_INVALID, "notify.%s.%s: '%s' is empty",
			ch->name, key, path);
	return 0;
}

static int
read_secrets(struct config *c, struct channel *ch, struct err *err)
{
	CLEANUP_BUF struct buf token = BUF_INIT;

	if (read_line(c, ch, "secret-file", &ch->secret, err) ||
		read_line(c, ch, "token-file", &token, err))
		return -1;
	if (token.s[strcspn(token.s, "\r\n")])
		return err_set(err, ERR_INVALID,
			"notify.%s.token-file must hold one line", ch->name);
	if (token.len)
		ch->token = xstrdup(token.s);
	return 0;
}

static int
read_filter(struct config *c, struct channel *ch, struct err *err)
{
	const char *program = setting(c, ch, "filter");
	const char *events = setting(c, ch, "events");
	CLEANUP_FREE char *list = xstrdup(events ? events : "");
	char *comma;

	for (comma = list; *comma; comma++)
		if (*comma == ',')
			*comma = ' ';
	argv_split(&ch->events, list);
	if (!program)
		return 0;
	if (!filter_compile(program, &ch->filter, err))
		return 0;
	err->code = ERR_INVALID;
	return err_wrap(err, "notify.%s", ch->name);
}

static int
read_channel(struct config *c, struct channel *ch, struct err *err)
{
	if (choose_kind(c, ch, err) ||
		config_duration(c, "notify", ch->name, "timeout", TIMEOUT,
			&ch->timeout_ms, err) ||
		read_secrets(c, ch, err) || read_filter(c, ch, err))
		return -1;
	if (ch->kind == CHANNEL_COMMAND) {
		argv_split(&ch->command, ch->to);
		return 0;
	}
	if (http_check_url(ch->to, err))
		return err_wrap(err, "notify.%s", ch->name);
	return ch->kind == CHANNEL_NTFY ? split_topic(ch, err) : 0;
}

int
channel_open(struct state *st, const char *name, struct channel *ret,
	struct err *err)
{
	struct channel ch = CHANNEL_INIT;
	CLEANUP_ARGV struct argv names = ARGV_INIT;
	struct config *c;
	size_t i = 0;

	if (state_config(st, &c, err))
		return -1;
	config_names(c, "notify", &names);
	while (i < names.n && strcmp(names.v[i], name) != 0)
		i++;
	if (i == names.n)
		return err_set(err, ERR_NOTFOUND,
			"no [notify \"%s\"] in the configuration", name);
	ch.name = xstrdup(name);
	if (read_channel(c, &ch, err) ||
		(ch.kind != CHANNEL_COMMAND &&
			http_open(setting(c, &ch, "ca-file"), &ch.http, err))) {
		channel_release(&ch);
		return -1;
	}
	*ret = ch;
	return 0;
}

void
channel_release(struct channel *c)
{
	free(c->name);
	free(c->to);
	free(c->topic);
	free(c->token);
	buf_release(&c->secret);
	argv_release(&c->command);
	argv_release(&c->events);
	filter_free(c->filter);
	http_close(c->http);
	*c = CHANNEL_INIT;
}

bool
channel_wants(const struct channel *c, const char *kind)
{
	size_t i;

	if (!strncmp(kind, "notify.", 7))
		return false;
	for (i = 0; i < c->events.n; i++)
		if (glob_match(c->events.v[i], kind, false))
			return true;
	return !c->events.n;
}
