#!/usr/bin/env bats
# forge-vm snapshot and restore, on real guests.

# Tests are subshells, run sets stderr, a dollar in quotes is for sh.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154

load lib
load images

setup() {
	common_setup
	use_image busybox
}
teardown() { vm_teardown; }

# What a guest is, a line each; boot_id is of all, uptime goes on.
identity='hostname; cat /etc/hostname /etc/machine-id
	cat /sys/class/net/eth0/address
	ip -4 addr show eth0 | sed -n "s/.*inet \([0-9.]*\).*/\1/p"
	head -c 32 /dev/urandom | od -An -tx1 | tr -d "\n"; echo'

@test "snapshot, restore: copies run at once, each somebody else" {
	run -3 --separate-stderr forge-vm restore nosuch
	[ "$stderr" = "forge-vm: no snapshot 'nosuch'; 'forge-vm snapshot list' shows those there are" ]
	forge-vm start -i busybox -n base --net user >/dev/null
	forge-vm exec base -- sh -c 'echo kept >/tmp/file'
	run -0 --separate-stderr forge-vm snapshot take base snap
	[ "$output$stderr" = '' ]
	[ "$(forge-vm show base -q .state)" = running ]
	run -4 --separate-stderr forge-vm snapshot take base snap
	[ "$stderr" = "forge-vm: a snapshot 'snap' exists; 'forge-vm snapshot rm snap' removes it" ]
	[ "$(forge-vm snapshot list -q '[.name, .image, .vm] | join(" ")')" = \
		'snap busybox base' ]
	[ "$(forge-vm snapshot show snap -q .net)" = user ]

	# With a command in it nobody could say whose copy of it is whose.
	forge-vm exec base -- sleep 600 3>&- &
	client=$!
	wait_until 60 forge-vm exec base -- pidof sleep
	run -4 --separate-stderr forge-vm snapshot take base other
	[ "$stderr" = "forge-vm: a command runs in VM 'base'; its copies would have nobody to end it" ]
	kill -9 "$client"
	wait "$client" || true

	run -0 --separate-stderr forge-vm restore snap -n one
	[ "$output" = one ]
	[ "$stderr" = '' ]
	run -0 --separate-stderr forge-vm start --snapshot snap -n two
	[ "$output" = two ]
	for i in base one two; do
		forge-vm exec $i -- sh -c "$identity" >$i
		[ "$(sed -n 1,2p $i)" = "$i
$i" ]
		[ "$(sed -n 4,5p $i)" = "$(forge-vm show $i -q '.mac, .address')" ]
		[ "$(forge-vm exec $i cat /tmp/file)" = kept ]
		late=$(($(date +%s) - $(forge-vm exec $i date +%s)))
		[ "${late#-}" -le 1 ]
	done
	# Six lines each, and nothing of it the same.
	[ "$(cat base one two | wc -l)" -eq 18 ]
	[ "$(cat base one two | sort -u | wc -l)" -eq 15 ] # names twice
	# What one writes is not what the other reads.
	forge-vm exec one -- sh -c 'echo one >/tmp/file'
	[ "$(forge-vm exec two cat /tmp/file)" = kept ]

	run -8 --separate-stderr forge-vm snapshot take one other
	[ "$stderr" = "forge-vm: VM 'one' was restored itself; save one that was booted" ]
	run -4 --separate-stderr forge-vm snapshot rm snap
	[ "$stderr" = "forge-vm: snapshot 'snap' is used by a VM" ]
	forge-vm stop one two
	run -7 --separate-stderr forge-vm run --snapshot snap -- \
		sh -c 'cat /tmp/file; hostname; exit 7' 3>&-
	[ "${lines[0]}" = kept ]
	[[ "${lines[1]}" == vm-* ]]
	[ "$stderr" = '' ]
	run -2 --separate-stderr forge-vm run --snapshot snap -i busybox -- true
	[ "${stderr_lines[0]}" = 'forge-vm: --snapshot says itself what --image, --memory, --cpus, --net and --driver are' ]
	run -2 --separate-stderr forge-vm run --snapshot snap --disk 8M -- true
	[ "${stderr_lines[0]}" = 'forge-vm: --snapshot continues without disks of its own' ]
	run -0 --separate-stderr forge-vm snapshot rm snap
	run -0 --separate-stderr forge-vm fsck -n
	[ "$output" = '' ]
}

@test "snapshot: killed anywhere, it leaves nothing after a look" {
	forge-vm start -i busybox -n base --net none >/dev/null
	# While it is written, and while a copy comes up.
	forge-vm snapshot take base snap 3>&- &
	kill -9 "$(forge-vm show base -q '.supervisor | split(":")[1]')"
	wait "$!" || true
	forge-vm destroy base
	forge-vm fsck >/dev/null
	forge-vm snapshot list -q .name | xargs -r forge-vm snapshot rm
	run -0 --separate-stderr forge-vm fsck -n
	[ "$output" = '' ]

	forge-vm start -i busybox -n base --net none >/dev/null
	forge-vm snapshot take base snap
	forge-vm destroy base
	for wait in 0.01 0.02 0.04 0.08 0.16; do
		forge-vm run --snapshot snap -n copy -- sleep 600 3>&- &
		sleep "$wait"
		kill -9 "$!"
		wait "$!" || true
	done
	forge-vm fsck >/dev/null
	forge-vm snapshot rm snap
	run -0 --separate-stderr forge-vm fsck -n
	[ "$output" = '' ]
	run -0 forge-vm list -q .name
	[ "$output" = '' ]
}

@test "snapshot: another image, another hypervisor, a broken-off one" {
	forge-vm start -i busybox -n base --net none >/dev/null
	forge-vm snapshot take base snap
	about=$FORGE_STATE/snapshot/snap/snapshot.json
	cp "$about" about
	jq -c '.hypervisor = "7.1.0"' about >"$about"
	version=$(jq -r .hypervisor about)
	run -125 --separate-stderr forge-vm run --snapshot snap -- true
	[ "$stderr" = "forge-vm: snapshot 'snap' was made by version 7.1.0 of the hypervisor, this is $version: make it again" ]
	jq -c '.digest = "sha256:0"' about >"$about"
	run -125 --separate-stderr forge-vm run --snapshot snap -- true
	[ "$stderr" = "forge-vm: snapshot 'snap' is of another image 'busybox' than there is now: make it again" ]
	jq -c '.cpu = "i486"' about >"$about"
	run -125 --separate-stderr forge-vm run --snapshot snap -- true
	[ "$stderr" = "forge-vm: snapshot 'snap' was made on another processor: make it again here" ]
	forge-vm destroy base
	mkdir "$FORGE_STATE/snapshot/.gone"
	run -0 --separate-stderr forge-vm fsck -n
	[ "$output" = "snapshot 'gone': broken off" ]
	run -0 forge-vm fsck
	run -0 forge-vm fsck
	[ "$output" = '' ]
	[ ! -e "$FORGE_STATE/snapshot/.gone" ]
}
