/*
 * forge-vm: microVMs: images, addresses, lifecycle.  See forge-vm(1).
 */
#include "cmd/forge-vm/forge-vm.h"

#include "lib/base/cmd.h"
#include "lib/base/mem.h"
#include "lib/base/banned.h"

#define IMAGES "forge-vm image list -q .name 2>/dev/null"

static const struct verb verbs[] = {
	{ "doctor", "", "is this host fit for VMs, and what to do if not",
		doctor_options, 0, 0, 0, cmd_doctor, NULL },
	{ "image build", "[--base BASE] [NAME]", "build an image",
		image_build_options, 0, 1, 0, cmd_image_build, NULL },
	{ "image list", "", "the images there are", NULL, 0, 0, 0,
		cmd_image_list, NULL },
	{ "image show", "NAME", "everything about one image", NULL, 1, 1, 0,
		cmd_image_show, IMAGES },
	{ "image rm", "NAME...", "remove images that no VM uses", NULL, 1, -1,
		0, cmd_image_rm, IMAGES },
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
