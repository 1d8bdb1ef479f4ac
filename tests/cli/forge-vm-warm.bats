#!/usr/bin/env bats
# forge-vm warm, and what run and start do with it, on real guests.

# Tests are subshells, run sets stderr, a dollar in quotes is for sh.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154

load lib
load images

setup() {
	common_setup
	use_image busybox
}
teardown() { vm_teardown; }

waiting() {
	forge-vm list -q 'select(.warm and .state == "paused") | .name' | wc -l
}

@test "warm: run and start take one each, never the same" {
	run -2 --separate-stderr forge-vm warm -i busybox
	[ "${stderr_lines[0]}" = 'forge-vm: warm: --image and --warm N (at most 1000), or neither' ]
	run -0 --separate-stderr forge-vm warm -i busybox --net user --warm 3
	[ "$stderr" = '' ]
	[ "${#lines[@]}" -eq 3 ]
	made=$(sort <<<"$output")
	[ "$(waiting)" -eq 3 ]
	name=${lines[0]}
	run -4 --separate-stderr forge-vm resume "$name"
	[ "$stderr" = "forge-vm: VM '$name' waits to be taken by run or start" ]

	# Three at once want one, with another name, address and machine ID each.
	for i in 1 2 3; do
		forge-vm start -i busybox --net user --ttl 1h >start$i 2>err$i \
			3>&- &
		pids[i]=$!
	done
	for i in 1 2 3; do
		wait "${pids[i]}"
		[ ! -s err$i ]
	done
	[ "$(sort start1 start2 start3)" = "$made" ]
	[ "$(waiting)" -eq 0 ]
	for i in $made; do
		[ "$(forge-vm show "$i" -q '.state, .ttl_ms, .warm')" = 'running
3600000
null' ]
		forge-vm exec "$i" -- sh -c 'hostname; cat /etc/machine-id
			ip -4 addr show eth0 |
			sed -n "s/.*inet \([0-9.]*\).*/\1/p"' >"$i"
		[ "$(sed -n '1p;3p' "$i")" = "$i
$(forge-vm show "$i" -q .address)" ]
		late=$(($(date +%s) - $(forge-vm exec "$i" date +%s)))
		[ "${late#-}" -le 1 ]
	done
	# shellcheck disable=SC2086
	[ "$(cat $made | sort -u | wc -l)" -eq 9 ]
	# None waits: the next is booted.
	run -0 --separate-stderr forge-vm start -i busybox --net user -n cold
	[ "$output" = cold ]

	# A pool whose VMs still run ends when they have.
	run -0 --separate-stderr forge-vm warm -i busybox --net user --warm 0
	[ "$output$stderr" = '' ]
	forge-vm list -q .name | xargs forge-vm destroy
	run -0 --separate-stderr forge-vm warm
	[ "$(forge-vm snapshot list -q .name)" = '' ]
	run -0 --separate-stderr forge-vm fsck -n
	[ "$output" = '' ]
}

@test "warm: run in one, and it is gone; kill -9 of it too" {
	forge-vm warm -i busybox --net none --warm 2
	run -7 --separate-stderr forge-vm run -i busybox --net none -- \
		sh -c 'hostname; cat; exit 7' <<<"from stdin" 3>&-
	[ "$stderr" = '' ]
	[ "${lines[1]}" = 'from stdin' ]
	[[ "$(forge-watch events -q 'select(.kind == "vm.taken") | .subject')" == "${lines[0]}" ]]
	run -3 forge-vm show "${lines[0]}"
	[ "$(waiting)" -eq 1 ]

	two=$(forge-vm list -q .name)
	forge-vm run -i busybox --net none -- sleep 600 3>&- &
	wait_until 60 forge-vm exec "$two" pidof sleep
	kill -9 "$!"
	wait "$!" || true
	wait_until 60 eval '[ "$(forge-vm list -q .name)" = "" ]'
	run -0 --separate-stderr forge-vm fsck -n
	[ "$output" = '' ]

	# Killed while it waits: the next look makes another.
	forge-vm warm
	kill -9 "$(forge-vm list -q '.supervisor | split(":")[1]' | head -n 1)"
	run -0 --separate-stderr forge-vm warm
	[ "$stderr" = '' ]
	[ "${#lines[@]}" -eq 1 ]
	[ "$(waiting)" -eq 2 ]

	# So does forge-watch, after one that was taken.
	name=$(forge-vm start -i busybox --net none 3>&-)
	[ "$(waiting)" -eq 1 ]
	forge-watch run --once >log 2>&1 3>&-
	[ "$(waiting)" -eq 2 ]
	forge-vm destroy "$name"

	# The image goes, and they with it.
	run -0 --separate-stderr forge-vm image rm busybox
	[ "$(forge-vm list -q .name)" = '' ]
	run -0 --separate-stderr forge-vm warm
	[ "$output$stderr$(forge-vm snapshot list -q .name)" = '' ]
	run -0 --separate-stderr forge-vm fsck -n
	[ "$output" = '' ]
}
