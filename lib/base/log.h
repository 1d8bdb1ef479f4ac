/*
 * log: what a long-running program tells its operator, on stderr.
 *
 * One record a line: logfmt by default, JSON with log_json, with journald's
 * "<N>" level prefix when $JOURNAL_STREAM names our stderr.  A record is an
 * event name and pairs of key and value, NULL-terminated; values are strings.
 *
 *	log_info("runner.started", "name", name, "pool", pool, NULL);
 *
 * A tool that ends at once does not log: it returns an error.
 */
#ifndef FORGE_BASE_LOG_H
#define FORGE_BASE_LOG_H

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG, LOG_LEVEL__MAX };

/* Records above this level are dropped; LOG_WARNING at start. */
void log_set_level(enum log_level level);
void log_set_json(int on);

void log_record(enum log_level level, const char *event, ...)
	__attribute__((sentinel));
#define log_error(...) log_record(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_record(LOG_WARNING, __VA_ARGS__)
#define log_info(...) log_record(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_record(LOG_DEBUG, __VA_ARGS__)

#endif
