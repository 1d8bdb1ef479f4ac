/*
 * channel: what is said between forge-vm on the host and forge-init in the
 * guest, and, in the same frames, between `forge-vm exec` and the supervisor
 * of a running VM.
 *
 * This header is compiled into both sides and into the static forge-init, so
 * it includes nothing of ours but frame.h, and needs no library.
 *
 * Boot:
 *	guest -> host	HELLO	as soon as the port is open
 *	host -> guest	CONFIG	who you are (below), once
 *	guest -> host	READY	root mounted, address set: exec may begin
 *	guest -> host	FAULT	text: this boot cannot succeed (ends the VM)
 * Exec (stream 1..65535, chosen by the host, not reused while in use):
 *	host -> guest	EXEC (flag MORE on all but the last part)
 *	guest -> host	STARTED, or EXIT at once when the exec failed
 *	host -> guest	STDIN, STDIN_EOF, WINSIZE, SIGNAL
 *	guest -> host	STDOUT, STDERR, STDIN_CLOSED, then EXIT as the last
 *	both		CREDIT
 * Connection to a port in the guest (a stream as well):
 *	host -> guest	CONNECT
 *	guest -> host	STARTED, or EXIT at once when nobody listens there
 *	host -> guest	STDIN, STDIN_EOF (we send no more), SIGNAL (any: reset)
 *	guest -> host	STDOUT, STDOUT_EOF (it sends no more), STDIN_CLOSED,
 *			then EXIT, 0 or the errno that broke it, as the last
 *	both		CREDIT
 * Connections from the guest to here (a listener is a stream, and so is each
 * connection; a port 0 is chosen by the guest):
 *	host -> guest	LISTEN
 *	guest -> host	STARTED (the port) or EXIT with the errno
 *	host -> guest	SIGNAL (any): no longer; EXIT answers it
 *	host -> guest	ACCEPT: the next connection to that port
 *	guest -> host	STARTED when there is one, then as after CONNECT
 * Connections wait in the guest as long as no ACCEPT does.
 * Parts of several streams may be mixed.  STDIN may follow EXEC or CONNECT
 * at once.  EXIT
 * waits for nobody who still holds the command's output open.
 * Flow control: the sender of STDIN, STDOUT or STDERR may have at most
 * CHANNEL_WINDOW bytes, per stream and per kind, that the receiver has not
 * yet given back by CREDIT.  A side that is sent more may drop the stream.
 * The guest's writes wait for the host, so the host must go on reading while
 * it waits to write.
 * To the supervisor only (stream 0; never the guest's):
 *	client -> supervisor	PAUSE, RESUME, SNAPSHOT, TAKE
 *	supervisor -> client	DONE or REFUSED, for each
 * Console (a stream between a client and the supervisor; never the guest's):
 *	client -> supervisor	CONSOLE; STDIN when it may type; CREDIT
 *	supervisor -> client	STARTED, or EXIT with EBUSY when another types;
 *			STDOUT, CREDIT, EXIT 0 when the VM ends
 * Control (stream 0):
 *	host -> guest	CLOCK, ENTROPY, SHUTDOWN, PING
 *	host -> guest	IDENTITY, to a guest that was restored, which it
 *			answers by READY, or FAULT
 *	guest -> host	PONG
 * After SHUTDOWN the guest says no more; no EXIT comes for what was running.
 *
 * Nothing that a guest sends is trusted: lengths are bounded by frame.h, an
 * unknown type is ignored, a frame for a stream that is not open is ignored.
 */
#ifndef FORGE_VM_CHANNEL_H
#define FORGE_VM_CHANNEL_H

#include "frame.h"

#define CHANNEL_VERSION 1
/* name of the virtio-serial port that carries the channel */
#define CHANNEL_PORT "forge.agent"
/*
 * Without such a port the guest connects to this vsock port of the host, and
 * its kernel's command line has the words CHANNEL_WORD "=vsock".  A
 * hypervisor with hybrid vsock (cloud-hypervisor, firecracker) connects in
 * turn to its own socket's path with "_PORT" added, where we listen.
 */
#define CHANNEL_VSOCK 1024
#define CHANNEL_VSOCK_SUFFIX "_1024"
#define CHANNEL_WORD "FORGE_CHANNEL"
/* "=reboot": the machine has no power-off, as in CONFIG. */
#define CHANNEL_HALT_WORD "FORGE_HALT"
/* bytes in flight per stream and kind before CREDIT is needed */
#define CHANNEL_WINDOW (256u * 1024)
/* EXEC parts together; Linux's own limit for argv and environment */
#define CHANNEL_EXEC_MAX (2u * 1024 * 1024)

enum channel_type {
	/*
	 * Strings, each NUL-terminated, "key=value".  Keys: version, the
	 * CHANNEL_VERSION; boot_id, from the guest's kernel; init_us and
	 * hello_us, microseconds of its uptime when forge-init began, and
	 * now.
	 */
	CHANNEL_HELLO = 1,
	/*
	 * Strings "key=value": hostname; address (a.b.c.d/prefix), gateway,
	 * dns (each optional: without address no interface is brought up but
	 * lo; address6 (without a length) and gateway6 (of the link) beside
	 * it); root (device), rootfs (erofs|squashfs|ext4; without root the
	 * initramfs stays the root); overlay (tmpfs, or a device holding
	 * ext4); machine_id (32 hex digits), mac (of a
	 * restored guest); clock (nanoseconds since 1970); entropy (hex); halt
	 * (poweroff|reboot: what PID 1 calls at the end).  Unknown keys are
	 * ignored.
	 */
	CHANNEL_CONFIG = 2,
	CHANNEL_READY = 3, /* empty */
	CHANNEL_FAULT = 4, /* text, at most one line */
	/*
	 * Strings, each NUL-terminated, first letter says what: a argument
	 * (at least one; the first is looked up in PATH), e NAME=VALUE (added
	 * to a minimal environment), c working directory, u user name or
	 * number, t "ROWSxCOLS": give it a terminal, b anything: no
	 * program, but what forge-init can do itself: get PATH, put PATH
	 * NAME, with a pack (pack.h) as stdout or stdin.
	 */
	CHANNEL_EXEC = 5,
	CHANNEL_STARTED = 6, /* u32 pid in the guest */
	CHANNEL_STDIN = 7,
	CHANNEL_STDIN_EOF = 8, /* empty: no more STDIN will come */
	CHANNEL_STDIN_CLOSED = 9, /* empty: nobody reads it any more */
	CHANNEL_STDOUT = 10,
	CHANNEL_STDERR = 11,
	CHANNEL_CREDIT = 12, /* u8 0|1|2 (which of the three), u32 bytes */
	CHANNEL_WINSIZE = 13, /* u16 rows, u16 columns */
	CHANNEL_SIGNAL = 14, /* u32 signal number, to the process group */
	CHANNEL_EXIT = 15, /* u8 enum channel_exit, u32 value */
	CHANNEL_CLOCK = 16, /* u64 nanoseconds since 1970 */
	CHANNEL_ENTROPY = 17, /* 1..512 bytes, credited to the pool */
	CHANNEL_SHUTDOWN = 18, /* u32 ms of grace between TERM and KILL */
	CHANNEL_PING = 19, /* up to 64 bytes, echoed by PONG */
	CHANNEL_PONG = 20,
	CHANNEL_CONNECT = 21, /* u16 port: TCP to 127.0.0.1, else to ::1 */
	CHANNEL_STDOUT_EOF = 22, /* empty: no more STDOUT of a connection */
	CHANNEL_CONSOLE = 23, /* u8 1: we want to type, 0: only to read */
	CHANNEL_PAUSE = 24, /* empty */
	CHANNEL_RESUME = 25, /* empty */
	CHANNEL_DONE = 26, /* empty */
	CHANNEL_REFUSED = 27, /* u8 enum err_code, text */
	CHANNEL_SNAPSHOT = 28, /* text: its name */
	/* As CONFIG; of it all but root, rootfs, overlay and halt. */
	CHANNEL_IDENTITY = 29,
	/* JSON: {"run", "ttl", "idle", "restart", "argv"}, as warm.h says;
	 * DONE when it is ready. */
	CHANNEL_TAKE = 30,
	CHANNEL_LISTEN = 31, /* u16 port: TCP on 127.0.0.1; 0: any */
	CHANNEL_ACCEPT = 32, /* u16 port: of a LISTEN of before */
};

enum channel_exit {
	CHANNEL_EXITED = 0, /* value: exit status */
	CHANNEL_SIGNALED = 1, /* value: signal number */
	CHANNEL_EXEC_FAILED = 2, /* value: errno of execve or of the set-up */
};

#endif
