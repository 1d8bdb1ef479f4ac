#!/usr/bin/env bats
# forge-vm run --disk, --disk-base, --user-data: what a guest has beside its
# root.

# Tests are subshells, run sets stderr, and a dollar in quotes is for sh.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load lib
load images

setup()
{
	common_setup
	export FORGE_CONFIG=/dev/null
	use_image
}

teardown() { common_teardown; }

vm() { forge-vm run -i busybox --net none "$@"; }

@test "disk: what is written goes there, not to memory" {
	# more than the memory has room for
	run -0 vm --disk 1G --memory 128M -- sh -c '
		dd if=/dev/zero of=/big bs=1M count=200 2>/dev/null && sync &&
		ls -l /big | awk "{ print \$5 }"
		df -m / | awk "NR == 2 { print (\$2 > 900) }"
		echo x >/etc/passwd && cat /etc/passwd'
	[ "$output" = "209715200
1
x" ]
	# gone with the VM
	[ -z "$(ls -A "$FORGE_STATE/vm")" ]
	run -0 vm -- head -n 1 /etc/passwd
	[ "$output" = root:x:0:0:root:/root:/bin/sh ]
}

@test "disk: one that is full is full for the guest only" {
	run -1 --separate-stderr vm --disk 16M -- sh -c \
		'dd if=/dev/zero of=/big bs=1M 2>/dev/null'
	[ "$stderr" = "" ]
}

@test "disk: a clone begins as its base, which does not change" {
	mkdir -p d/data/etc d/work
	echo of the base >d/data/etc/base
	truncate -s 64M base
	mkfs.ext4 -q -F -d d base
	sum=$(sha256sum <base)
	run -0 vm --disk-base base -- sh -c \
		'cat /etc/base; echo x >/etc/base; echo y >/etc/new; sync'
	[ "$output" = "of the base" ]
	[ "$(sha256sum <base)" = "$sum" ]
	# also as a plain copy, and by names with a comma
	cp base "a,b"
	mkdir path
	for t in /usr/bin/* /usr/sbin/* /bin/* /sbin/*; do
		[ "${t##*/}" = qemu-img ] || ln -sf "$t" path/
	done
	run -0 env PATH="$BUILD/bin:$PWD/path" forge-vm run -i busybox \
		--net none --disk-base "a,b" -- cat /etc/base
	[ "$output" = "of the base" ]
}

@test "disk: clones share blocks where the file system can" {
	command -v mkfs.xfs >/dev/null || skip "xfsprogs is not installed"
	[ "$(id -u)" = 0 ] || skip "needs root for a mount"
	truncate -s 400M fs
	mkfs.xfs -q fs
	mkdir mnt
	export -f vm
	unshare --mount bash -euc 'mount -o loop fs mnt
		cp -a "$FORGE_STATE" mnt/state
		truncate -s 200M mnt/base
		mkfs.ext4 -q -F mnt/base
		dd if=/dev/urandom of=mnt/base bs=1M seek=90 count=100 \
			conv=notrunc status=none
		FORGE_STATE=$PWD/mnt/state forge-vm start -i busybox \
			--net none --name v --disk-base mnt/base
		ls mnt/state/vm/v >files
		FORGE_STATE=$PWD/mnt/state forge-vm destroy v' \
		>out 2>err || { cat out err; skip "XFS cannot be mounted"; }
	[ "$(cat out)" = v ]
	# 100 MB twice would not fit beside the image
	grep -qx disk files
}

@test "disk: a NoCloud seed holds what it should" {
	printf '#cloud-config\nhostname: mine\n' >ud
	vm --user-data ud --name seeded -- cat /dev/vdb >seed
	[ "$(blkid -o value -s LABEL seed)" = CIDATA ]
	mcopy -i seed ::user-data got
	cmp ud got
	run -0 mtype -i seed ::meta-data
	[[ ${lines[0]} =~ ^instance-id:\ seeded-[0-9a-z]{12}$ ]]
	[ "${lines[1]}" = "local-hostname: seeded" ]
	[ "$(mtype -i seed ::vendor-data)" = "" ]
	# beside a disk it comes after it
	run -0 vm --user-data ud --disk 16M -- sh -c \
		'dd if=/dev/vdc bs=512 count=1 2>/dev/null | tail -c 2 | od -An -tx1'
	[ "$output" = " 55 aa" ]
}

@test "disk: what makes no sense is refused" {
	run -2 vm --disk 1K -- true
	run -2 vm --disk big -- true
	touch f
	run -2 --separate-stderr vm --disk 1G --disk-base f -- true
	[[ $stderr == "forge-vm: --disk and --disk-base: a disk is new, or a \
clone"* ]]
	run -125 --separate-stderr vm --disk-base none -- true
	[ "$stderr" = "forge-vm: --disk-base 'none': No such file or directory" ]
	run -125 vm --user-data none -- true
	run -2 --separate-stderr vm --driver process --disk 1G -- true
	[[ $stderr == "forge-vm: driver 'process' has no disks of their own \
for VMs"* ]]
	# nor is an empty file a file system
	truncate -s 8M f
	run -125 --separate-stderr vm --disk-base f -- true
	[[ $stderr == "forge-vm: the guest cannot boot: the overlay cannot be \
mounted"* ]]
	[ -z "$(ls -A "$FORGE_STATE/vm")" ]
	run -0 forge-vm plan -i busybox --name p --disk 1G
	[[ $output == *"vm/p/disk"* ]]
}
