/*
 * pool: a [pool "NAME"] section of the configuration: which jobs it serves,
 * where its runners live, how many there may be.  forge-config(5) has the
 * keys and their defaults.
 *
 * A job matches a pool when its labels are a subset of one of the pool's label
 * sets.
 */
#ifndef FORGE_RUNNER_POOL_H
#define FORGE_RUNNER_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/argv.h"
#include "lib/base/err.h"

struct json;
struct state;

struct pool {
	char *name; /* NULL: made from options, not from a section */
	char *github; /* [github] section, or NULL: the only one */
	char *scope; /* "repo:o/r", "org:o", "enterprise:e" */
	struct argv *sets; /* label sets: lower case, sorted, distinct */
	size_t nsets;
	int *room; /* of each set: runners more that agents have room for;
		    * NULL: max is all that counts.  fleet_agents() has it */
	char *place; /* "vm:IMAGE", "here", or the name of a [place] */
	int cpus;
	int64_t memory; /* bytes */
	int min_idle;
	int max;
	int priority;
	int weight; /* share of the host among pools of one priority */
	/* What a job's labels may ask of the VM; see shape.h. */
	int allow_cpus; /* at most; 0: not at all */
	int64_t allow_memory; /* bytes, at most; 0: not at all */
	struct argv allow_images;
	int64_t boot_timeout; /* ms */
	int64_t idle_timeout; /* ms; 0: never */
	int64_t register_timeout; /* ms */
	int64_t job_timeout; /* ms */
	int64_t hold; /* ms that a failed one's place is kept; 0: not */
	char *command; /* what runs in the place, split at white space; or
			* NULL: as the server's listener is called */
	char *group; /* runner group, or NULL */
	/* Of a pool that is a runner scale set: then sets has one, of the
	 * label "scale-set:NAME", and these are the labels at GitHub. */
	char *scale_set; /* or NULL */
	struct argv scale_labels;
	char *prefix; /* of runner names */
};

struct pools {
	struct pool *v;
	size_t n;
};

#define POOL_INIT ((struct pool){ .allow_images = ARGV_INIT, \
	.scale_labels = ARGV_INIT })
void pool_release(struct pool *p);
#define CLEANUP_POOL __attribute__((cleanup(pool_release)))
void pools_release(struct pools *p);
#define CLEANUP_POOLS __attribute__((cleanup(pools_release)))

/* ERR_NOTFOUND, or ERR_INVALID that names the key. */
int pool_load(struct state *st, const char *name, struct pool *ret,
	struct err *err) __attribute__((warn_unused_result));
/* All of them, in file order. */
int pools_load(struct state *st, struct pools *ret, struct err *err)
	__attribute__((warn_unused_result));
/* The defaults of a pool without a section. */
void pool_defaults(struct pool *ret);

/*
 * One more label set, from "self-hosted,Linux, x64": lower-cased, sorted,
 * each once.
 */
int pool_add_labels(struct pool *p, const char *list, struct err *err)
	__attribute__((warn_unused_result));
/* Take all label sets away. */
void pool_clear_labels(struct pool *p);
/* A label set as a JSON array; caller frees. */
char *labels_json(const struct argv *set);
/* All its label sets, an array of arrays; caller frees. */
struct json *pool_label_sets(const struct pool *p);

#endif
