#!/usr/bin/env bats
# forge-vm start, exec, stop, destroy, wait, list, show, logs, lease, plan,
# fsck.  One VM is shared where nothing is broken by it.

# Tests are subshells, run sets stderr, a dollar in quotes is for sh, and "!"
# would not end a test.
# shellcheck disable=SC2016,SC2030,SC2031,SC2143,SC2154

load lib
load images

setup() {
	common_setup
	use_image busybox
}
teardown() { vm_teardown; }

no_hypervisor() { [ -z "$(pgrep -f "^qemu-system.*$FORGE_STATE/image/")" ]; }

@test "start, exec, stop: a life" {
	run -0 --separate-stderr forge-vm start -i busybox -n web
	[ "$output" = web ]
	[ "$stderr" = '' ]
	run -0 --separate-stderr forge-vm list
	[ "${lines[0]}" = 'NAME STATE   IMAGE   ADDRESS     CPUS MEMORY_MB AGE' ]
	[[ "${lines[1]}" == 'web  running busybox 10.127.0.16    1       512 '* ]]
	run -0 --separate-stderr forge-vm show web -q '.state, .image, .cpus'
	[ "$output" = $'running\nbusybox\n1' ]

	run -3 --separate-stderr forge-vm exec web -- sh -c 'echo o; echo e >&2; exit 3'
	[ "$output" = o ]
	[ "$stderr" = e ]
	run -0 bash -c 'echo through | forge-vm exec web cat'
	[ "$output" = through ]
	run -127 --separate-stderr forge-vm exec web nosuch
	[ "$stderr" = "forge-vm: cannot execute 'nosuch': No such file or directory" ]
	run -2 --separate-stderr forge-vm exec web
	[ "${stderr_lines[0]}" = 'forge-vm: exec: a command is needed' ]

	# Several at once, each with its own streams.
	for i in 1 2 3 4 5 6 7 8; do
		forge-vm exec web -- sh -c "cat; echo $i; exit $i" \
			<<<"in $i" >"out.$i" 3>&- &
		eval "pid$i=$!"
	done
	for i in 1 2 3 4 5 6 7 8; do
		status=0
		eval "wait \$pid$i" || status=$?
		[ "$status" = "$i" ]
		[ "$(cat "out.$i")" = "in $i
$i" ]
	done

	# A client that is killed takes its command with it.
	forge-vm exec web -- sh -c 'echo $$ >/tmp/pid; exec sleep 600' 3>&- &
	pid=$!
	wait_until 60 forge-vm exec web -- test -s /tmp/pid
	kill -9 "$pid"
	wait "$pid" || true
	wait_until 60 forge-vm exec web -- \
		sh -c '! kill -0 "$(cat /tmp/pid)" 2>/dev/null'

	run -0 --separate-stderr forge-vm wait --for ready web
	[ "$output$stderr" = '' ]
	run -5 --separate-stderr forge-vm wait --timeout 100ms web
	[ "$stderr" = "forge-vm: VM 'web': waited long enough" ]
	run -0 --separate-stderr forge-vm stop web
	[ "$output$stderr" = '' ]
	run -0 --separate-stderr forge-vm show web -q '.state, .status, .address'
	[ "$output" = $'stopped\n0\nnull' ]
	run -0 --separate-stderr forge-vm stop web
	[ "$output$stderr" = '' ]
	run -0 --separate-stderr forge-vm wait web
	[ "$output$stderr" = '' ]
	forge-vm logs web | grep -q 'Power down'
	run -4 --separate-stderr forge-vm start -i busybox -n web
	[ "$output" = '' ]
	[ "$stderr" = "forge-vm: a VM named 'web' exists; 'forge-vm destroy web' removes it" ]
	run -0 --separate-stderr forge-vm destroy web
	[ "$output$stderr" = '' ]
	run -3 --separate-stderr forge-vm show web
	[ "$stderr" = "forge-vm: no VM 'web'; 'forge-vm list' shows those there are" ]
	run -0 --separate-stderr forge-vm fsck -n
	[ "$output$stderr" = '' ]
}

@test "start: what keeps it from coming up is told, and nothing stays" {
	run -3 --separate-stderr forge-vm start -i nope
	[ "$output" = '' ]
	[ "$stderr" = "forge-vm: no image 'nope'; there is busybox" ]
	run -125 --separate-stderr forge-vm start -i busybox --boot-timeout 100ms
	[ "$output" = '' ]
	[[ "$stderr" == 'forge-vm: the guest was not ready within 100ms (--boot-timeout)' ]]
	[ "$(forge-vm list -q .state)" = crashed ]
	[ -z "$(forge-vm lease list --json)" ]
	[ -z "$(pgrep -f "$FORGE_STATE/image/")" ]
}

@test "exec: a terminal when it is asked for" {
	forge-vm start -i busybox -n tty
	run -0 forge-vm exec -t tty -- sh -c 'test -t 0 && test -t 1 && stty size'
	[ "$output" = $'24 80\r' ] || [ "$output" = '24 80' ]
}

@test "exec: in a VM that does not run" {
	run -125 --separate-stderr forge-vm exec nope true
	[ "$output" = '' ]
	[ "$stderr" = "forge-vm: no VM 'nope'; 'forge-vm list' shows those there are" ]
}

@test "kill -9 of the supervisor: the next look buries it" {
	for _ in 1 2 3; do
		forge-vm start -i busybox -n web >/dev/null
		pid=$(forge-vm show web -q .supervisor | cut -d: -f2)
		kill -9 "$pid"
		wait_until 60 no_hypervisor
		run -0 --separate-stderr forge-vm fsck -n
		[ "$output" = "vm 'web': its supervisor is dead" ]
		run -0 --separate-stderr forge-vm show web -q '.state, .reason, .address'
		[ "$output" = $'crashed\nits supervisor died\nnull' ]
		run -0 --separate-stderr forge-vm fsck -n
		[ "$output" = '' ]
		forge-vm destroy web
	done
	[ -z "$(forge-vm lease list --json)" ]
	[ -z "$(ls "$FORGE_STATE/vm")" ]
}

@test "fsck: files of no VM are removed" {
	mkdir -p "$FORGE_STATE/vm/ghost"
	touch "$FORGE_STATE/vm/ghost/console.log"
	run -0 --separate-stderr forge-vm fsck -n
	[ "$output" = 'vm/ghost: files without a VM' ]
	run -0 --separate-stderr forge-vm fsck
	[ "$output" = 'vm/ghost: files without a VM' ]
	run -0 --separate-stderr forge-vm fsck -n
	[ "$output" = '' ]
	[ ! -e "$FORGE_STATE/vm/ghost" ]
}

@test "lease: taken, listed, given back; a freed address rests" {
	run -0 --separate-stderr forge-vm lease take a
	[ "$output" = 10.127.0.16 ]
	[ "$stderr" = '' ]
	run -4 --separate-stderr forge-vm lease take a
	[ "$output" = '' ]
	[ "$stderr" = "forge-vm: 'a' has a lease already" ]
	run -0 --separate-stderr forge-vm lease release a
	[ "$output$stderr" = '' ]
	run -0 --separate-stderr forge-vm lease take b
	[ "$output" = 10.127.0.17 ]
	run -3 --separate-stderr forge-vm lease release a
	[ "$stderr" = "forge-vm: 'a' has no lease" ]
	run -0 --separate-stderr forge-vm lease list -q '[.holder, .address] | @tsv'
	[ "$output" = $'b\t10.127.0.17' ]
	run -2 --separate-stderr forge-vm lease take ../x
	[ "$output" = '' ]
}

@test "lease: 32 at once, none twice; full is told, then room again" {
	git config -f "$FORGE_STATE/config" vm.subnet 10.9.0.0/26
	for i in $(seq 32); do forge-vm lease take "h$i" >"out.$i" 3>&- & done
	wait
	[ "$(cat out.* | sort -u | wc -l)" = 32 ]
	for i in $(seq 33 47); do forge-vm lease take "h$i" >/dev/null; done
	run -8 --separate-stderr forge-vm lease take one-more
	[ "$output" = '' ]
	[ "$stderr" = 'forge-vm: no address is free in vm.subnet; stop a VM, or release a lease (forge-vm lease list)' ]
	forge-vm lease release h7
	run -0 --separate-stderr forge-vm lease take one-more
	[ "$output" = "$(cat out.7)" ]
}

@test "plan: the very argv, and nothing is changed" {
	before=$(forge-watch events --json | wc -l)
	run -0 --separate-stderr forge-vm plan -i busybox -n web -m 256M
	[[ "${lines[0]}" == 'qemu-system-x86_64 -name forge-web,process=forge-web '* ]]
	[[ "${lines[0]}" == *' -m 256 '* ]]
	[ "${lines[1]}" = "# database: row for VM 'web'" ]
	[ "${lines[2]}" = '# database: lease of 10.127.0.16' ]
	[ "$stderr" = '' ]
	[ "$(forge-watch events --json | wc -l)" = "$before" ]
	forge-vm start -i busybox -n web -m 256M >/dev/null
	planned=$(forge-vm plan --json -i busybox -n web -m 256M |
		jq -r '.argv | length')
	pid=$(forge-vm show web -q .hypervisor | cut -d: -f2)
	[ "$(tr '\0' '\n' <"/proc/$pid/cmdline" | wc -l)" = "$planned" ]
}

@test "a guest that floods its console fills no disk" {
	forge-vm start -i busybox -n loud >/dev/null
	forge-vm exec loud -- sh -c 'yes flood | head -c 3000000 >/dev/console'
	size=$(du -sb "$FORGE_STATE/vm/loud" | cut -f1)
	[ "$size" -lt 2300000 ]
	forge-vm logs loud | grep -q flood
}
