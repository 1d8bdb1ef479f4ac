#!/usr/bin/env bats
# Images, killed by SIGKILL at each system call that makes something durable
# or visible: what is left must be finished or undone by `forge-vm fsck`.

# Tests are subshells, and run sets stderr.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load ../cli/lib
load ../cli/images

setup()
{
	common_setup
	export FORGE_CONFIG=/dev/null
	# LeakSanitizer cannot work under strace
	export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
	command -v strace >/dev/null || skip "strace is not installed"
	use_image
	kernel=$FORGE_STATE/image/busybox/kernel
}

teardown() { common_teardown; }

# killed CALL N COMMAND...: 0 when the Nth CALL was its last
killed()
{
	local call=$1 n=$2 rc=0
	shift 2
	strace -qqq -o /dev/null -e trace="$call" \
		-e inject="$call:signal=KILL:when=$n" "$@" >/dev/null 2>&1 ||
		rc=$?
	[ "$rc" = 137 ]
}

# After a kill: fsck mends, has nothing more to do then, and leaves no
# temporary name; what is listed can be opened.
sound()
{
	local name
	forge-vm fsck >fsck.log
	run -0 forge-vm fsck
	[ "$output" = "" ]
	run -0 find "$FORGE_STATE/image" -maxdepth 1 -name '.?*'
	[ "$output" = "" ]
	for name in $(forge-vm image list -q .name); do
		[ "$(forge-vm image show "$name" -q '
			[.state, .damage, .digest == .manifest.digest] |
			@text')" = '["ready",null,true]' ]
	done
}

# each CALL COMMAND...: killed at the first, second ... until it ends by itself
each()
{
	local call=$1 n=0
	shift
	while killed "$call" $((++n)) "$@"; do
		sound
	done
	[ "$n" -gt 1 ]
}

@test "a new image is there whole or not at all" {
	for call in fsync renameat2 fdatasync; do
		each "$call" forge-vm image build new --base busybox \
			--kernel "$kernel" --replace
		[ "$(forge-vm image show new -q .state)" = ready ]
		forge-vm image rm new
		sound
	done
}

@test "a replaced image is the old one or the new one" {
	local before after
	forge-vm image build a --base busybox --kernel "$kernel"
	before=$(forge-vm image show a -q .digest)
	echo x >x
	# what comes after the rename, and the last file of the old image
	for call in renameat2 unlinkat unlink; do
		for n in 1 2; do
			killed "$call" "$n" forge-vm image build a --base \
				busybox --kernel "$kernel" --replace \
				--file x:/x || :
			sound
			after=$(forge-vm image show a -q .digest)
			[ "$before" = "$after" ] || {
				fsck.erofs --extract=y \
					"$FORGE_STATE/image/a/root" >/dev/null
				[ "$(cat y/x)" = x ]
				rm -rf y
				forge-vm image build a --base busybox \
					--kernel "$kernel" --replace
			}
		done
	done
}

@test "a removed image is there whole or gone" {
	local n
	for call in renameat fsync fdatasync unlinkat; do
		n=0
		while :; do
			forge-vm image list -q .name | grep -qx a ||
				forge-vm image build a --base busybox \
					--kernel "$kernel"
			killed "$call" $((++n)) forge-vm image rm a || break
			sound
		done
		[ "$n" -gt 1 ]
		sound
	done
}
