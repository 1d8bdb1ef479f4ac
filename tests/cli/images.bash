# Images for tests: `load images` beside `load lib`.
#
#	use_image [BASE]	$FORGE_STATE has image BASE (busybox), ready
#
# The image is built once per build directory and comes by hard links; that
# `forge-vm fsck` adopts a sound directory without a row makes it known.

use_image()
{
	local base=${1:-busybox} from
	from=$("$ROOT/tests/images.sh" "$BUILD" "$base" 3>&- 4>&-) || return 1
	mkdir -p "$FORGE_STATE/image"
	chmod 700 "$FORGE_STATE"
	cp -al "$from/image/${base/:/-}" "$FORGE_STATE/image/" ||
		cp -a "$from/image/${base/:/-}" "$FORGE_STATE/image/"
	forge-vm fsck >/dev/null
}

# use_cache: the kernel's package need not be fetched again
use_cache()
{
	local from
	from=$("$ROOT/tests/images.sh" "$BUILD" 3>&- 4>&-) || return 1
	mkdir -p "$FORGE_STATE/cache"
	chmod 700 "$FORGE_STATE"
	cp -al "$from"/cache/*.deb "$FORGE_STATE/cache/" ||
		cp -a "$from"/cache/*.deb "$FORGE_STATE/cache/"
}

# vm_teardown: no VM of this test is left
vm_teardown()
{
	forge-vm list -q .name | xargs -r forge-vm destroy
	common_teardown
}

# One VM, "web", for all tests of a file:
#	setup_file() { one_vm [OPTION...]; }
#	teardown_file() { one_vm_end; }
#	setup() { one_vm_setup; }
#	teardown() { common_teardown; }
one_vm()
{
	common_setup
	use_image busybox
	forge-vm start -i busybox -n web --net none "$@" >/dev/null 3>&- 4>&-
}

one_vm_setup()
{
	local state=$FORGE_STATE
	common_setup
	export FORGE_STATE=$state
}

one_vm_end()
{
	cd "$BATS_FILE_TMPDIR" || return 1
	forge-vm destroy web
	common_teardown
}
