/*
 * sd: what systemd and programs like it agree on with a service, by
 * environment: sd_notify(3) and sd_listen_fds(3).  Both protocols are stable
 * and documented to be spoken without libsystemd, which would cost every
 * start of a program its loading.
 *
 * Without the environment each function does nothing.
 */
#ifndef FORGE_BASE_SD_H
#define FORGE_BASE_SD_H

#include <stdint.h>

/*
 * "READY=1\nSTATUS=..." to $NOTIFY_SOCKET.  A failure is nobody's business:
 * the manager sees that it hears nothing.
 */
void sd_notify(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ms between two "WATCHDOG=1" (half of $WATCHDOG_USEC), or -1. */
int64_t sd_watchdog(void);

/* A listening socket that was passed to this process under this name
 * ($LISTEN_FDNAMES), close-on-exec; -1: none.  The caller's. */
int sd_socket(const char *name);

#endif
