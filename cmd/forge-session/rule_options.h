/*
 * rule_options: the options of run and start about what an agent may do and
 * use: --policy, --on-ask and limits.
 */
#ifndef FORGE_SESSION_RULE_OPTIONS_H
#define FORGE_SESSION_RULE_OPTIONS_H

#include <popt.h>
#include "lib/base/err.h"

struct session;

extern char **arg_policy;
extern char *arg_on_ask, *arg_budget, *arg_max_tokens, *arg_run_timeout,
	*arg_idle_timeout;
extern int arg_max_turns;

#define RULE_OPTIONS                                                         \
	{ "policy", 0, POPT_ARG_ARGV, &arg_policy, 0,                        \
		"rules that answer what the agent asks", "FILE" },           \
		{ "on-ask", 0, POPT_ARG_STRING, &arg_on_ask, 0,              \
			"else: allow, deny, fail, wait or wait=30m", "WHAT" }, \
		{ "budget-usd", 0, POPT_ARG_STRING, &arg_budget, 0,          \
			"end it when it has cost so much", "USD" },          \
		{ "max-tokens", 0, POPT_ARG_STRING, &arg_max_tokens, 0,      \
			"end it when it has used so many", "N" },            \
		{ "max-turns", 0, POPT_ARG_INT, &arg_max_turns, 0,           \
			"end it after so many messages", "N" },              \
		{ "timeout", 0, POPT_ARG_STRING, &arg_run_timeout, 0,        \
			"end it when it has worked so long", "DURATION" },   \
		{ "idle-timeout", 0, POPT_ARG_STRING, &arg_idle_timeout, 0,  \
			"end it when nothing happens for so long",           \
			"DURATION" }

/* Into s->options and the limits of s; mistakes are found here. */
int rule_options(struct session *s, struct err *err)
	__attribute__((warn_unused_result));

#endif
