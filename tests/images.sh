#!/bin/bash
# images.sh BUILD [BASE...]: build the images that tests boot (busybox, when
# none is named) in BUILD/state-images, once, and print that directory.  Built
# anew when forge-init is newer than they are.
#
# Tests take a copy by use_image (tests/cli/images.bash).
set -eu
build=$(cd "$1" && pwd)
shift
state=$build/state-images
export FORGE_STATE=$state FORGE_CONFIG=/dev/null FORGE_LIBEXEC=$build/libexec
mkdir -p "$state"
chmod 700 "$state"
exec 9>"$state/.tests"
flock 9
# fsck and build know what is there without its database, of an older schema
[ "$state/forge.db" -nt "${0%/*}/../share/migrations/0001.sql" ] ||
	rm -f "$state"/forge.db*
for base in "${@:-busybox}"; do
	manifest=$state/image/${base/:/-}/manifest.json
	[ "$manifest" -nt "$FORGE_LIBEXEC/forge-init" ] ||
		"$build/bin/forge-vm" image build --replace "$base" \
			>/dev/null 9>&-
done
echo "$state"
