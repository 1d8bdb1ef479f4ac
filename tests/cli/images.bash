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
