/*
 * forge-vm: microVMs: images, addresses, lifecycle.  See forge-vm(1).
 */
#include "cmd/forge-vm/forge-vm.h"

#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define IMAGES "forge-vm image list -q .name 2>/dev/null"

#define SNAPSHOTS "forge-vm snapshot list -q .name 2>/dev/null"

#define VMS "forge-vm list -q .name 2>/dev/null"

static const struct verb verbs[] = {
	{ "run", "--image IMAGE [-- CMD [ARG...]]",
		"boot, run CMD, exit with its status, gone", run_options, 0,
		-1, VERB_COMMAND, cmd_run, NULL },
	{ "start", "--image IMAGE", "boot and keep running; print its name",
		start_options, 0, 0, 0, cmd_start, NULL },
	{ "supervise", "", "what start starts", supervise_options, 0, 0,
		VERB_HIDDEN, cmd_supervise, NULL },
	{ "exec", "NAME [--] CMD [ARG...]", "run CMD in a running VM",
		exec_options, 1, -1, VERB_COMMAND, cmd_exec, VMS },
	{ "cp", "SRC DST", "copy files into a VM or out of it; one is NAME:PATH",
		cp_options, 2, 2, 0, cmd_cp, NULL },
	{ "forward", "NAME [[ADDR:]HOSTPORT:PORT...]",
		"make ports of a VM reachable here, until a signal",
		forward_options, 1, -1, 0, cmd_forward, VMS },
	{ "pause", "NAME...", "let it stand still", NULL, 1, -1, 0, cmd_pause,
		VMS },
	{ "resume", "NAME...", "let a paused VM go on", NULL, 1, -1, 0,
		cmd_resume, VMS },
	{ "snapshot take", "NAME SNAPSHOT", "save a VM, which goes on", NULL,
		2, 2, 0, cmd_snapshot_take, VMS },
	{ "snapshot list", "", "the snapshots there are", NULL, 0, 0, 0,
		cmd_snapshot_list, NULL },
	{ "snapshot show", "SNAPSHOT", "everything about one", NULL, 1, 1, 0,
		cmd_snapshot_show, SNAPSHOTS },
	{ "snapshot rm", "SNAPSHOT...", "remove those that no VM uses", NULL,
		1, -1, 0, cmd_snapshot_rm, SNAPSHOTS },
	{ "restore", "SNAPSHOT", "start a VM that continues from a snapshot",
		restore_options, 1, 1, 0, cmd_restore, SNAPSHOTS },
	{ "warm", "[--image IMAGE --warm N]",
		"VMs that wait for run and start: how many, fill up",
		warm_options, 0, 0, 0, cmd_warm, NULL },
	{ "stop", "NAME...", "end the processes in it and power off",
		stop_options, 1, -1, 0, cmd_stop, VMS },
	{ "destroy", "NAME...", "kill it now and forget it", NULL, 1, -1, 0,
		cmd_destroy, VMS },
	{ "restart", "[NAME...]",
		"start again what ended, or all that is marked and due", NULL,
		0, -1, 0, cmd_restart, VMS },
	{ "hold", "[--release] NAME...",
		"keep it beyond its time and its command", hold_options, 1,
		-1, 0, cmd_hold, VMS },
	{ "wait", "NAME", "wait until it has stopped, or is ready",
		wait_options, 1, 1, 0, cmd_wait, VMS },
	{ "list", "", "the VMs there are", NULL, 0, 0, 0, cmd_list, NULL },
	{ "show", "NAME", "everything about one VM", show_options, 1, 1, 0,
		cmd_show, VMS },
	{ "console", "NAME", "be at its serial console; ^] leaves it",
		console_options, 1, 1, 0, cmd_console, VMS },
	{ "logs", "NAME", "what its console said", logs_options, 1, 1, 0, cmd_logs,
		VMS },
	{ "plan", "--image IMAGE", "what start would do, to the last argument",
		plan_options, 0, 0, 0, cmd_plan, NULL },
	{ "lease list", "", "the addresses in use", NULL, 0, 0, 0,
		cmd_lease_list, NULL },
	{ "lease take", "HOLDER", "take an address; print it", NULL, 1, 1, 0,
		cmd_lease_take, NULL },
	{ "lease release", "HOLDER...", "give addresses back", NULL, 1, -1, 0,
		cmd_lease_release,
		"forge-vm lease list -q .holder 2>/dev/null" },
	{ "doctor", "", "is this host fit for VMs, and what to do if not",
		doctor_options, 0, 0, 0, cmd_doctor, NULL },
	{ "setup", "", "make this host ready for --net tap", setup_options, 0,
		0, 0, cmd_setup, NULL },
	{ "metrics", "", "VMs, images and addresses as OpenMetrics", NULL, 0,
		0, 0, cmd_metrics, NULL },
	{ "browser", "NAME", "print how to speak CDP to the browser in it",
		browser_options, 1, 1, 0, cmd_browser, VMS },
	{ "image build", "[--base BASE] [NAME]", "build an image",
		image_build_options, 0, 1, 0, cmd_image_build, NULL },
	{ "image import", "[SOURCE] NAME",
		"an image from OCI, docker, a tar file or an initramfs",
		image_import_options, 1, 2, 0, cmd_image_import, NULL },
	{ "image list", "", "the images there are", NULL, 0, 0, 0,
		cmd_image_list, NULL },
	{ "image show", "NAME", "everything about one image", NULL, 1, 1, 0,
		cmd_image_show, IMAGES },
	{ "image rm", "NAME...", "remove images that no VM uses", NULL, 1, -1,
		0, cmd_image_rm, IMAGES },
	{ "image gc", "", "remove images that nobody uses (-n: only tell)",
		image_gc_options, 0, 0, 0, cmd_image_gc, NULL },
	{ "fsck", "", "finish or undo what was broken off (-n: only tell)",
		fsck_options, 0, 0, 0, cmd_fsck, NULL },
};

int
main(int argc, char **argv)
{
	static const struct program program = { "forge-vm",
		"microVMs: images, addresses, lifecycle", verbs,
		ARRAY_SIZE(verbs) };

	return cmd_main(&program, argc, argv);
}
