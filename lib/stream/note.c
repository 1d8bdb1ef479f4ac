/*
 * A thousand agents that come back at once, or say that they are alive, are
 * not a thousand transactions: what is to be written is kept for NOTE_DELAY
 * and then written together, in the order in which it happened.
 */
#include "lib/stream/internal.h"

#include <stdlib.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define NOTE_DELAY 50 /* ms */
#define NOTE_MAX 2000 /* kept: then at once */

enum note_kind { NOTE_CONNECTED, NOTE_REPORT, NOTE_SEEN, NOTE_GONE };

struct note {
	enum note_kind kind;
	char *id;
	char *text; /* address, or why it went */
	char *host;
	char *agent_kind;
	struct json *sets;
	int64_t max, active, slots;
};

struct notes {
	struct stream *s;
	struct loop_timer timer;
	struct note *v;
	size_t n, alloc;
};

static struct note *
add(struct agent *a, enum note_kind kind, const char *text)
{
	struct notes *notes = a->s->notes;
	struct note *note;

	if (notes->n == NOTE_MAX)
		notes_flush(a->s);
	if (notes->n == notes->alloc) {
		notes->alloc = notes->alloc ? notes->alloc * 2 : 64;
		notes->v = xreallocarray(notes->v, notes->alloc,
			sizeof(*notes->v));
	}
	if (!notes->timer.slot)
		loop_timer_set(a->s->loop, &notes->timer,
			stream_now(a->s) + NOTE_DELAY);
	a->noted = stream_now(a->s);
	note = &notes->v[notes->n++];
	*note = (struct note){ .kind = kind, .id = xstrdup(a->id),
		.text = xstrdup_null(text) };
	return note;
}

void
note_connected(struct agent *a)
{
	(void)add(a, NOTE_CONNECTED, a->address);
}

static struct json *
sets_json(const struct agent *a)
{
	struct json *sets = json_array();
	size_t i, k;

	for (i = 0; i < a->nsets; i++) {
		struct json *set = json_array();

		for (k = 0; k < a->sets[i].n; k++)
			json_push_str(set, a->sets[i].v[k]);
		json_push(sets, set);
	}
	return sets;
}

void
note_report(struct agent *a)
{
	struct note *note = add(a, NOTE_REPORT, NULL);

	note->host = xstrdup_null(a->host);
	note->agent_kind = xstrdup_null(a->kind);
	note->sets = sets_json(a);
	note->max = a->max;
	note->active = a->active;
	note->slots = a->slots;
}

void
note_seen(struct agent *a)
{
	(void)add(a, NOTE_SEEN, NULL);
}

void
note_gone(struct agent *a, const char *why)
{
	(void)add(a, NOTE_GONE, why);
}

static int
write_note(struct db *db, const struct note *note, struct err *err)
{
	struct agent_report report = { .host = note->host,
		.kind = note->agent_kind, .label_sets = note->sets,
		.max_vms = note->max, .active = note->active,
		.slots = note->slots };

	switch (note->kind) {
	case NOTE_CONNECTED:
		return agent_connected(db, note->id, note->text, err);
	case NOTE_REPORT:
		return agent_report(db, note->id, &report, err);
	case NOTE_SEEN:
		return agent_seen(db, note->id, err);
	case NOTE_GONE:
		return agent_gone(db, note->id, note->text, err);
	}
	return 0;
}

static int
write_notes(struct notes *notes, struct err *err)
{
	CLEANUP_TXN struct txn t = TXN_INIT;
	size_t i;

	if (db_begin(notes->s->db, &t, err))
		return -1;
	for (i = 0; i < notes->n; i++)
		if (write_note(notes->s->db, &notes->v[i], err))
			return -1;
	return db_commit(&t, err);
}

void
notes_flush(struct stream *s)
{
	struct notes *notes = s->notes;
	struct err err = ERR_INIT;
	size_t i;

	if (!notes->n)
		return;
	/* What is lost here the agents tell again. */
	if (write_notes(notes, &err))
		log_error("stream.rows", "error", err.msg, NULL);
	for (i = 0; i < notes->n; i++) {
		free(notes->v[i].id);
		free(notes->v[i].text);
		free(notes->v[i].host);
		free(notes->v[i].agent_kind);
		json_free(notes->v[i].sets);
	}
	notes->n = 0;
}

static void
on_timer(struct loop_timer *t)
{
	struct notes *notes = (struct notes *)(void *)((char *)t -
		offsetof(struct notes, timer));

	notes_flush(notes->s);
}

/* Nobody is connected to one that only begins. */
int
notes_open(struct stream *s, struct err *err)
{
	CLEANUP_TXN struct txn t = TXN_INIT;

	if (db_begin(s->db, &t, err) ||
		agent_gone(s->db, NULL, "the coordinator began anew", err) ||
		db_commit(&t, err))
		return -1;
	s->notes = xcalloc(1, sizeof(*s->notes));
	s->notes->s = s;
	s->notes->timer.fire = on_timer;
	return 0;
}

void
notes_close(struct stream *s)
{
	if (!s->notes)
		return;
	notes_flush(s);
	loop_timer_clear(s->loop, &s->notes->timer);
	free(s->notes->v);
	free(s->notes);
}
