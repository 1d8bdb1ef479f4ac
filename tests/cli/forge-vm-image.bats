#!/usr/bin/env bats
# forge-vm image: what is built, listed, removed and repaired.  That guests
# boot from it is proven where VMs are run.

# Tests are subshells, run sets stderr, and a dollar in quotes is for sh.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154,SC2238
bats_require_minimum_version 1.5.0
load lib
load images

setup()
{
	common_setup
	export FORGE_CONFIG=/dev/null
}

teardown() { common_teardown; }

# A kernel and no modules: a build takes tenths of a second, and no network.
build()
{
	local from
	from=$("$ROOT/tests/images.sh" "$BUILD" 3>&- 4>&-) || return 1
	forge-vm image build --kernel "$from/image/busybox/kernel" "$@"
}

# The names and mode bits of an image's root, and its files' content below x/
extract()
{
	rm -rf x
	fsck.erofs --extract=x "$FORGE_STATE/image/$1/root" >/dev/null
}

# The kinds of all events of one image, on a line.
kinds()
{
	forge-watch events -q "select(.subject == \"$1\") | .kind" |
		paste -sd ' '
}

holder()
{
	background log flock "$1" "$FORGE_STATE/run/image/$2" sleep 60
	wait_until 60 sh -c '! flock -n "$1" true' - \
		"$FORGE_STATE/run/image/$2"
}

@test "build: name and digest on stdout, nothing on stderr" {
	run -0 --separate-stderr build busybox
	[[ $output =~ ^busybox\ sha256:[0-9a-f]{64}$ ]]
	[ "$stderr" = "" ]
	run -0 find "$FORGE_STATE/image" -mindepth 1 -printf '%P %m\n'
	[ "$(sort <<<"$output")" = "busybox 755
busybox/initramfs 444
busybox/kernel 444
busybox/manifest.json 444
busybox/root 444" ]
	[ "$(kinds busybox)" = "image.begun image.built" ]
}

@test "build: the manifest tells the truth about the files" {
	build --json b1 --base busybox >row
	for f in kernel initramfs root; do
		[ "$(jq -r ".manifest.files.$f.sha256" row)" = \
			"$(sha256sum <"$FORGE_STATE/image/b1/$f" |
				cut -d' ' -f1)" ]
		[ "$(jq ".manifest.files.$f.size" row)" = \
			"$(stat -c %s "$FORGE_STATE/image/b1/$f")" ]
	done
	run -0 jq -r '[.name, .state, .base, .manifest.rootfs,
		(.digest == .manifest.digest),
		(.size == ([.manifest.files[].size] | add))] | @tsv' row
	[ "$output" = "b1	ready	busybox	erofs	true	true" ]
}

@test "build: the same inputs give the same bytes" {
	build one --base busybox
	sleep 1.1
	umask 077
	build two --base busybox
	for f in kernel initramfs root; do
		cmp "$FORGE_STATE/image/one/$f" "$FORGE_STATE/image/two/$f"
	done
	export SOURCE_DATE_EPOCH=1700000000
	build three --base busybox
	sleep 1.1
	build --replace three --base busybox >again
	[ "$(jq .created_at "$FORGE_STATE/image/three/manifest.json")" = \
		1700000000000 ]
	[ "$(cut -d' ' -f2 again)" = \
		"$(forge-vm image show three -q .digest)" ]
}

@test "build: the root has busybox's applets and root's files" {
	build busybox
	extract busybox
	[ "$(readlink x/bin/sh)" = /bin/busybox ]
	[ "$(readlink x/usr/bin/awk)" = /bin/busybox ]
	cmp x/bin/busybox "$(command -v busybox)"
	[ "$(stat -c %a x/tmp)" = 1777 ]
	[ "$(stat -c %a x/root)" = 700 ]
	[ "$(stat -c %u:%g x/etc/passwd)" = 0:0 ]
	[ "$(head -n 1 x/etc/passwd)" = root:x:0:0:root:/root:/bin/sh ]
}

@test "build: --file puts a file there, with its mode and its parents" {
	echo one >one && chmod 640 one
	printf '#!/bin/sh\n' >ls && chmod 755 ls
	build busybox --file "one:/opt/a b/c" --file ls:/bin/ls
	extract busybox
	[ "$(cat "x/opt/a b/c")" = one ]
	[ "$(stat -c %a "x/opt/a b/c")" = 640 ]
	[ "$(stat -c %a "x/opt/a b")" = 755 ]
	cmp ls x/bin/ls
	cmp x/bin/busybox "$(command -v busybox)"
}

@test "build: the initramfs has forge-init and what Debian's modules need" {
	use_cache
	forge-vm image build busybox --quiet
	mkdir i && (cd i && busybox cpio -id <"$FORGE_STATE/image/busybox/initramfs")
	cmp i/init "$BUILD/libexec/forge-init"
	[ "$(head -n 3 i/modules/order)" = "virtio.ko
virtio_ring.ko
virtio_mmio.ko" ] || [ "$(head -n 3 i/modules/order)" = "virtio_ring.ko
virtio.ko
virtio_mmio.ko" ]
	for m in virtio_pci virtio_console virtio_blk virtio_net erofs \
		overlay vmw_vsock_virtio_transport virtio_rng; do
		grep -qx "$m.ko" i/modules/order
	done
	# each once, each there, dependencies first
	[ -z "$(sort i/modules/order | uniq -d)" ]
	while read -r m; do
		[ -s "i/modules/$m" ]
		tr '\0' '\n' <"i/modules/$m" | sed -n 's/^depends=//p' |
			tr ',-' '\n_' | while read -r d; do
			[ -z "$d" ] || grep -qx "$d.ko" seen
		done
		echo "$m" >>seen
	done <i/modules/order
}

@test "build: an image that exists is replaced only when that is asked for" {
	build busybox
	echo hi >f
	before=$(forge-vm image show busybox -q .digest)
	run -4 --separate-stderr build busybox --file f:/f
	[ "$output" = "" ]
	[ "$stderr" = "forge-vm: image 'busybox' exists: give --replace, or \
another name" ]
	[ "$(forge-vm image show busybox -q .digest)" = "$before" ]
	run -0 build busybox --file f:/f --replace
	[ "$(forge-vm image show busybox -q .digest)" != "$before" ]
	extract busybox
	[ "$(cat x/f)" = hi ]
	[ "$(ls -A "$FORGE_STATE/image")" = busybox ]
}

@test "build: an image in use is not replaced or removed" {
	build busybox
	holder -s busybox
	run -4 --separate-stderr build --replace busybox
	[ "$stderr" = "forge-vm: image 'busybox' is in use: a VM runs from \
it, or it is being built" ]
	run -4 --separate-stderr forge-vm image rm busybox
	[ "$stderr" = "forge-vm: image 'busybox' is in use: a VM runs from \
it, or it is being built" ]
	run -0 forge-vm fsck
	[ "$output" = "" ]
	[ "$(forge-vm image list -q .state)" = ready ]
}

@test "build: what makes no sense is refused before anything is done" {
	local try=$'\n'"Try 'forge-vm image build --help'."
	run -2 --separate-stderr forge-vm image build
	[[ $stderr == "forge-vm: --base BASE is needed: "* ]]
	run -2 --separate-stderr forge-vm image build --base centos
	[ "$stderr" = "forge-vm: no base 'centos': there is busybox, debian \
and debian:SUITE$try" ]
	run -2 --separate-stderr forge-vm image build --base busybox ../x
	run -2 --separate-stderr forge-vm image build busybox -p git
	[ "$stderr" = "forge-vm: --package needs --base debian: busybox has \
none$try" ]
	run -2 --separate-stderr forge-vm image build busybox --run true
	run -2 --separate-stderr forge-vm image build busybox --file a
	[ "$stderr" = "forge-vm: --file 'a': want SRC:DST, DST an absolute \
path$try" ]
	run -2 forge-vm image build busybox --file "$BATS_TEST_FILENAME:x"
	run -2 forge-vm image build busybox \
		--file "$BATS_TEST_FILENAME:/a/../b"
	run -3 forge-vm image build busybox --file /none:/x
	run -2 forge-vm image build busybox --modules /
	run -2 env SOURCE_DATE_EPOCH=x "$BUILD/bin/forge-vm" image build \
		busybox --kernel /none
	[ -z "$(ls -A "$FORGE_STATE/image" 2>/dev/null)" ]
}

@test "build: one that fails leaves nothing but its event" {
	echo garbage >k
	run -1 --separate-stderr forge-vm image build busybox --kernel k
	[ "$stderr" = "forge-vm: 'k': kernel: neither a vmlinux nor a \
bzImage" ]
	[ -z "$(ls -A "$FORGE_STATE/image")" ]
	run -0 forge-vm image list --json
	[ "$output" = "" ]
	[ "$(kinds busybox)" = "image.begun image.failed" ]
}

@test "build: one that fails keeps the image it was to replace" {
	build busybox
	before=$(forge-vm image show busybox -q .digest)
	echo garbage >k
	run -1 forge-vm image build busybox --kernel k --replace
	run -0 forge-vm image list -q '[.state, .digest] | @tsv'
	[ "$output" = "ready	$before" ]
	[ "$(ls -A "$FORGE_STATE/image")" = busybox ]
}

@test "list and show" {
	run -0 --separate-stderr forge-vm image list
	[ "$output$stderr" = "" ]
	build b --base busybox
	build a --base busybox
	run -0 forge-vm image list -q .name
	[ "$output" = "a
b" ]
	run -0 forge-vm image list
	[[ ${lines[0]} =~ ^NAME\ +STATE\ +BASE\ +SIZE\ +AGE\ +DIGEST$ ]]
	[[ ${lines[1]} =~ ^a\ +ready\ +busybox\  ]]
	run -0 forge-vm image show a -q .path
	[ "$output" = "$FORGE_STATE/image/a" ]
	run -3 --separate-stderr forge-vm image show c
	[ "$stderr" = "forge-vm: no image 'c'; there is a, b" ]
}

@test "rm" {
	build a --base busybox
	build b --base busybox
	run -0 --separate-stderr forge-vm image rm a b
	[ "$output$stderr" = "" ]
	[ -z "$(ls -A "$FORGE_STATE/image")" ]
	[ "$(kinds a)" = "image.begun image.built image.removed" ]
	run -3 --separate-stderr forge-vm image rm a
	[ "$stderr" = "forge-vm: no image 'a': build one with \`forge-vm \
image build busybox\`" ]
}

# not used since so many seconds, as the database has it
age() { sqlite3 "$FORGE_STATE/forge.db" "UPDATE image SET used_at =
	used_at - 1000 * $2 WHERE name = '$1'"; }

@test "gc: what was not used for so long, and nothing else" {
	build a --base busybox
	build b --base busybox
	build c --base busybox
	age a 3600
	age b 3600
	run -0 --separate-stderr forge-vm image gc
	[ "$output$stderr" = "" ]
	run -0 forge-vm image gc --older-than 59m -n
	[ "${lines[0]}" = "image 'a' was not used for 1h00m: removed" ]
	[ "${#lines[@]}" = 2 ]
	[ "$(forge-vm image list -q .name | paste -sd ' ')" = "a b c" ]
	holder -s b
	run -0 forge-vm image gc --older-than 59m
	[ "$output" = "image 'a' was not used for 1h00m: removed" ]
	run -0 ls "$FORGE_STATE/image"
	[ "$output" = "b
c" ]
	[ "$(forge-watch events -q 'select(.kind == "image.removed") |
		[.subject, .data.reason] | @tsv')" = "a	not used" ]
	run -2 forge-vm image gc --older-than soon
}

@test "gc: a VM keeps its image, and a boot makes it used" {
	use_image
	age busybox 3600
	forge-vm start --image busybox --name v --net none >/dev/null
	age busybox 3600
	run -0 forge-vm image gc --older-than 1s
	[ "$output" = "" ]
	forge-vm stop --timeout 0 v
	run -0 forge-vm image gc --older-than 1s
	[ "$output" = "" ]
	forge-vm destroy v
	run -0 forge-vm image gc --older-than 59m -n
	[ "${#lines[@]}" = 1 ]
	forge-vm run --image busybox --net none -- true
	run -0 forge-vm image gc --older-than 59m
	[ "$output" = "" ]
	sleep 0.1
	run -0 forge-vm image gc --older-than 50ms
	[[ $output == "image 'busybox' was not used for "*"s: removed" ]]
	[ -z "$(ls -A "$FORGE_STATE/image")" ]
}

@test "fsck: a directory without a row is adopted when it is sound" {
	use_image
	run -0 forge-vm image list -q '[.name, .state] | @tsv'
	[ "$output" = "busybox	ready" ]
	[ "$(kinds busybox)" = image.adopted ]
	run -0 forge-vm fsck
	[ "$output" = "" ]
}

@test "fsck: one that was tampered with is not" {
	build a --base busybox
	cp -r "$FORGE_STATE/image/a" keep
	forge-vm image rm a
	chmod u+w keep/root
	printf x | dd of=keep/root bs=1 seek=5000 conv=notrunc status=none
	cp -r keep "$FORGE_STATE/image/a"
	run -0 forge-vm fsck
	[ "$output" = "'image/a': 'root' has not the content it was built \
with; no image of ours: left alone" ]
	run -3 forge-vm image show a
	run -0 ls "$FORGE_STATE/image"
	[ "$output" = a ]
}

@test "fsck: another image under this name is not adopted" {
	build a --base busybox
	cp -r "$FORGE_STATE/image/a" "$FORGE_STATE/image/b"
	run -0 forge-vm fsck
	[ "$output" = "'image/b': manifest.json is of another image; no \
image of ours: left alone" ]
}

@test "fsck: a row whose directory is damaged or gone is forgotten" {
	build a --base busybox
	build b --base busybox
	rm -r "$FORGE_STATE/image/a"
	truncate -s 100 "$FORGE_STATE/image/b/root"
	run -0 forge-vm fsck --dry-run
	[ "${#lines[@]}" = 2 ]
	[ "$(forge-vm image list -q .name | paste -sd ' ')" = "a b" ]
	run -0 forge-vm fsck
	[ "${lines[0]}" = "cannot open 'image/a': No such file or \
directory: image 'a' forgotten" ]
	[ "${lines[1]}" = "'image/b': 'root' has not the size it was built \
with: image 'b' forgotten" ]
	run -0 forge-vm image list
	[ "$output" = "" ]
}

mended()
{
	forge-vm fsck
	[ "$(ls -A "$FORGE_STATE/image")" = a ]
}

@test "build: killed at any point, fsck undoes or finishes it" {
	build a --base busybox
	local n left=0
	for n in 0.01 0.03 0.06 0.1 0.15 0.2 0.25 0.3 0.4; do
		timeout -s KILL "$n" forge-vm image build --replace a \
			--base busybox \
			--kernel "$FORGE_STATE/image/a/kernel" || :
		[ "$(ls -A "$FORGE_STATE/image")" = a ] || left=1
		# a child forked just then has the lock until its exec
		wait_until 60 mended
		[ "$(forge-vm image list -q '[.name, .state] | @tsv')" = \
			"a	ready" ]
		[ "$(forge-vm fsck)" = "" ]
	done
	# at least one of them was cut short
	[ "$left" = 1 ]
}
