/*
 * egress: where a guest on a tap may connect to.
 *
 *	none			nowhere
 *	all			anywhere but other guests, this host and the
 *				link-local addresses (169.254.169.254 too)
 *	allow=CIDR,HOST,...	of that only these: networks, addresses,
 *				names (example.com), and *.example.com for
 *				all names below one
 *
 * With allow, only the names given are resolved for the guest, and what they
 * resolve to may be reached for as long as the answer is valid.
 */
#ifndef FORGE_VM_EGRESS_H
#define FORGE_VM_EGRESS_H

#include <stdbool.h>
#include "lib/base/argv.h"
#include "lib/base/err.h"

struct json;

enum egress_mode { EGRESS_NONE, EGRESS_ALL, EGRESS_ALLOW };

struct egress {
	enum egress_mode mode;
	struct argv net4, net6; /* with allow: "192.0.2.0/24" */
	struct argv hosts; /* lower case, without a final dot */
};

#define EGRESS_INIT                                        \
	((struct egress){ .net4 = ARGV_INIT, .net6 = ARGV_INIT, \
		.hosts = ARGV_INIT })
#define CLEANUP_EGRESS __attribute__((cleanup(egress_release)))
#define EGRESS_MAX 256 /* entries of allow */

void egress_release(struct egress *e);

/* ERR_USAGE names the word that is wrong; ret is an EGRESS_INIT. */
int egress_parse(const char *text, struct egress *ret, struct err *err)
	__attribute__((warn_unused_result));

/* May this name (any case, a final dot allowed) be resolved? */
bool egress_allows_name(const struct egress *e, const char *name);

/*
 * A name of the DNS in the form that hosts have: at most 253 of a-z 0-9 . - _
 * and no empty label; what comes before is left alone.  false: it is none.
 */
bool egress_normal_name(const char *name, char ret[256]);

#endif
