/*
 * remains: processes of a session whose supervisor was killed.
 *
 * The agent itself is ended by the kernel; what it had started may live on.
 * All have FORGE_SESSION=ID and FORGE_STATE=PATH in their environment, unless
 * they took care not to.
 */
#ifndef FORGE_SESSION_REMAINS_H
#define FORGE_SESSION_REMAINS_H

struct state;

/* Kill them, as far as we may; nobody's supervisor may live. */
void session_kill_remains(const struct state *st, const char *id);

#endif
