/*
 * config_keys: every configuration key there is, in one table.  A new key is
 * a line here and in forge-config(5); a test compares the two.
 */
#ifndef FORGE_STATE_CONFIG_KEYS_H
#define FORGE_STATE_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>

enum config_type {
	CONFIG_STRING,
	CONFIG_INT,
	CONFIG_SIZE,
	CONFIG_DURATION,
	CONFIG_BOOL,
	CONFIG_TYPE__MAX
};

struct config_key {
	const char *section;
	bool named; /* [section "name"] */
	const char *key;
	enum config_type type;
};

extern const struct config_key config_keys[];
extern const size_t config_keys_count;

#endif
