#!/usr/bin/env bats
# The drivers proxmox and tart: VMs on other machines. A fake Proxmox and a
# fake tart (tests/fake), written from their published interfaces; the guest
# is a real sshd. All in a network namespace, where it has an address.

load lib

setup_file()
{
	[ "$(id -u)" = 0 ] || return 0
	NET=fe$$
	echo "$NET" >"$BATS_FILE_TMPDIR/net"
	ip netns add "$NET"
	ip -n "$NET" link set lo up
	ip -n "$NET" addr add 198.51.100.7/32 dev lo
	mkdir -p /run/sshd
}

teardown_file()
{
	[ ! -e "$BATS_FILE_TMPDIR/net" ] ||
		ip netns del "$(cat "$BATS_FILE_TMPDIR/net")"
}

setup()
{
	[ "$(id -u)" = 0 ] || skip "network namespaces are root's"
	common_setup
	NET=$(cat "$BATS_FILE_TMPDIR/net")
	export FORGE_CONFIG=/dev/null GUEST=198.51.100.7 TART_HOME=$PWD/mac
	mkdir -m 700 "$FORGE_STATE"
	mkdir pve mac
	echo 'forge@pve!ci=0f3c-secret' >token
	chmod 600 token
}

teardown()
{
	[ -z "${FORGE_STATE-}" ] || [ ! -e "$FORGE_STATE/forge.db" ] ||
		forge-vm list -q .name | xargs -r ip netns exec "$NET" \
			"$BUILD/bin/forge-vm" destroy
	common_teardown
}

host() { ip netns exec "$NET" "$@"; }

# sshd_start [SSHD-OPTION...]: the guest's, on port 2222
sshd_start()
{
	ssh-keygen -q -t ed25519 -N '' -f host_key
	ssh-keygen -q -t ed25519 -N '' -f key
	cp host_key.pub pve/host-key
	cat >sshd_config <<-END
	Port 2222
	HostKey $PWD/host_key
	AuthorizedKeysFile $PWD/key.pub
	PidFile $PWD/sshd.pid
	StrictModes no
	UsePAM no
	PermitRootLogin prohibit-password
	END
	printf '%s\n' "$@" >>sshd_config
	background sshd.log ip netns exec "$NET" /usr/sbin/sshd -D -e -f sshd_config
	wait_until 60 grep -q "Server listening" sshd.log
}

proxmox_start()
{
	background proxmox.log ip netns exec "$NET" "$ROOT/tests/fake/proxmox" pve.port pve \
		'forge@pve!ci=0f3c-secret'
	wait_until 60 test -e pve.port
	cat >"$FORGE_STATE/config" <<-END
	[vm]
		driver = proxmox
	[driver "proxmox"]
		url = http://127.0.0.1:$(cat pve.port)
		node = pve1
		token-file = $PWD/token
		key-file = $PWD/key
		ssh-port = 2222
	END
	host forge-vm image import --template 9000 ci >/dev/null
}

# The VMs of ours that Proxmox has.
ours() { jq -c '[.[] | select(.name | startswith("forge-"))]' pve/vms.json; }

# nothing_left: neither there nor here
nothing_left()
{
	[ "$(ours)" = '[]' ]
	[ "$(jq -r '."100".name' pve/vms.json)" = somebody-elses ]
	[ -z "$(forge-vm list)" ]
	[ -z "$(ls "$FORGE_STATE/vm")" ]
	run -0 --separate-stderr host forge-vm fsck -n
	[ "$output$stderr" = '' ]
}

@test "elsewhere: an image is a template, and only there" {
	run -0 --separate-stderr forge-vm image import --template 9000 ci
	[[ "$output" == 'ci sha256:'* ]]
	[ "$(forge-vm image show ci -q '[.base, .manifest.template] | @tsv')" = $'template\t9000' ]
	run -2 --separate-stderr forge-vm plan -i ci --driver qemu
	[ "${stderr_lines[0]}" = "forge-vm: image 'ci' is a template of another machine, which driver 'qemu' cannot boot" ]
	run -2 --separate-stderr forge-vm image import --template '9000; rm' x
	[ "${stderr_lines[0]}" = "forge-vm: --template: '9000; rm' is not 1 to 255 of letters, digits and ._:/@-" ]
	run -2 --separate-stderr forge-vm plan -i ci --driver proxmox -n a.b
	[ "${stderr_lines[0]}" = "forge-vm: --name: 'a.b': driver 'proxmox' takes at most 44 of a-z, 0-9 and -" ]
	run -0 --separate-stderr forge-vm fsck -n
	[ "$output$stderr" = '' ]
}

@test "proxmox: plan says what would be asked" {
	forge-vm image import --template 9000 ci >/dev/null
	printf '[driver "proxmox"]\n\tnode = pve1\n' >"$FORGE_STATE/config"
	hash=$(printf %s "$(cat /etc/machine-id):$FORGE_STATE" |
		sha256sum | cut -c1-12)
	run -0 --separate-stderr forge-vm plan -i ci --driver proxmox -n web \
		--cpus 2 -m 1G -q '.argv[]'
	[ "$output" = "GET /cluster/nextid
POST /nodes/pve1/qemu/9000/clone name=forge-$hash-web
PUT /nodes/pve1/qemu/ID/config cores=2 memory=1024
POST /nodes/pve1/qemu/ID/status/start
GET /nodes/pve1/qemu/ID/agent/network-get-interfaces
ssh root@ADDRESS forge-init --guest 0,1" ]
}

@test "proxmox: run keeps the contract of a place" {
	sshd_start
	proxmox_start
	run -7 --separate-stderr host forge-vm run -i ci --cpus 2 -m 1G -- \
		sh -c 'cat; echo "$GREETING" >&2; exit 7' \
		< <(printf 'a\0b') 
	[ "$(printf '%s' "$output" | xxd -p)" = 6162 ] # bash drops the NUL
	[ "$stderr" = '' ]
	run -137 host forge-vm run -i ci -- sh -c 'kill -9 $$'
	run -127 --separate-stderr host forge-vm run -i ci -- no-such-command
	grep -q '^PUT .*/config cores=2&memory=1024$' pve/calls
	grep -q '^POST .*/clone .*&full=0&' pve/calls
	! grep -rq 0f3c-secret "$FORGE_STATE" proxmox.log || false
	nothing_left
}

@test "proxmox: start, exec, cp, forward, and its address" {
	sshd_start
	proxmox_start
	run -0 --separate-stderr host forge-vm start -i ci -n web
	[ "$output" = web ]
	[ "$(forge-vm show web -q '[.state, .driver, .net, .address] | @tsv')" = $'running\tproxmox\tdriver\t198.51.100.7' ]
	[ -z "$(forge-vm lease list --json)" ]
	run -0 host forge-vm exec web -- sh -c \
		'tr "\0" "\n" <"/proc/$PPID/environ" | grep ^SSH_CONN'
	[[ "$output" == *' 198.51.100.7 2222' ]]
	run -0 host forge-vm exec -t web -- sh -c 'test -t 0 && echo terminal'
	[ "${output%$'\r'}" = terminal ]
	echo content >file
	host forge-vm cp file "web:$PWD/copied"
	host forge-vm cp "web:$PWD/copied" back
	[ "$(cat copied back)" = $'content\ncontent' ]
	run -0 --separate-stderr host forge-vm stop --timeout 1500ms web
	[ "$output$stderr" = '' ]
	[ "$(ours)" = '[]' ]
	# Its guest was asked before it was removed, and needed no killing.
	grep -q '^POST .*/status/shutdown timeout=2$' pve/calls
	[ -z "$(grep /status/stop pve/calls)" ]
	[ "$(forge-vm show web -q .state)" = stopped ]
	host forge-vm destroy web
	nothing_left
}

@test "proxmox: a guest that does not shut down is destroyed as it is" {
	sshd_start
	proxmox_start
	touch pve/deaf
	host forge-vm start -i ci -n web >/dev/null
	run -0 host forge-vm stop --timeout 1s web
	[ "$(grep -oE '/status/(shutdown|stop)' pve/calls | tr '\n' ' ')" = \
		'/status/shutdown /status/stop ' ]
	[ "$(forge-vm show web -q .state)" = stopped ]
	host forge-vm destroy web
	nothing_left
}

@test "proxmox: the host key is what the hypervisor says it is" {
	sshd_start
	proxmox_start
	ssh-keygen -q -t ed25519 -N '' -f other
	cp other.pub pve/host-key
	run -125 --separate-stderr host forge-vm run -i ci -- true
	[[ "$stderr" == *"cannot be reached: Host key verification failed."* ]]
	nothing_left
}

@test "proxmox: what it refuses is told in one line" {
	sshd_start
	proxmox_start
	touch pve/failing
	run -125 --separate-stderr host forge-vm run -i ci -- true
	[[ "$stderr" == *"Proxmox: task qmclone failed: storage 'local' is full" ]]
	[ "${#stderr_lines[@]}" = 1 ]
	echo 'forge@pve!ci=wrong' >token
	run -125 --separate-stderr host forge-vm run -i ci -n denied -- true
	[[ "${stderr_lines[*]}" == *"with status 401: authentication failure"* ]]
	[[ "${stderr_lines[*]}" != *wrong* ]]
	# it may be that a VM was made: the row stays until that is known
	[ "$(forge-vm list -q .name)" = denied ]
	echo 'forge@pve!ci=0f3c-secret' >token
	host forge-vm fsck
	host forge-vm destroy denied || true
	nothing_left
}

@test "proxmox: an id that was taken meanwhile; a VM that is locked" {
	sshd_start
	proxmox_start
	touch pve/taken pve/locked
	run -0 --separate-stderr host forge-vm run -i ci -- true
	[ "$stderr" = '' ]
	[ "$(grep -c '/clone newid' pve/calls)" = 2 ]
	[ "$(jq -r '."101".name' pve/vms.json)" = faster ]
	nothing_left
}

@test "proxmox: kill -9 at any time leaves nothing once fsck has looked" {
	sshd_start
	proxmox_start
	for after in hold config start; do
		: >pve/calls
		rm -f pve/hold
		[ "$after" != hold ] || touch pve/hold
		case $after in
		hold) mark=/clone ;;
		config) mark=/status/start ;;
		start) mark=agent/file-read ;;
		esac
		background run.log ip netns exec "$NET" "$BUILD/bin/forge-vm" run -i ci -n "v-$after" -- sleep 60
		pid=$LAST_PID
		wait_until 60 grep -q "$mark" pve/calls
		kill -KILL "$pid"
		rm -f pve/hold
		host forge-vm fsck >/dev/null
		[ "$(ours)" = '[]' ]
	done
	nothing_left
}

@test "proxmox: a VM whose row was lost is found by fsck" {
	sshd_start
	proxmox_start
	host forge-vm start -i ci -n lost >/dev/null
	pid=$(forge-vm show lost -q '.supervisor | split(":")[1]')
	sqlite3 "$FORGE_STATE/forge.db" 'DELETE FROM vm'
	run -0 host forge-vm fsck -n
	[[ "$output" != *nobody* ]] # its supervisor lives: it holds the lock
	kill -KILL "$pid"
	gone() { ! kill -0 "$pid" 2>/dev/null; }
	wait_until 60 gone
	run -0 host forge-vm fsck -n
	[[ "$output" == *"vm 'lost': nobody here knows what runs by driver 'proxmox'"* ]]
	host forge-vm fsck >/dev/null
	[ "$(ours)" = '[]' ]
}

@test "proxmox: the VMs of other hosts and states are theirs" {
	sshd_start
	proxmox_start
	host forge-vm start -i ci -n mine >/dev/null
	# the same path on a host with another ID: there, nobody knows it
	echo 0123456789abcdef0123456789abcdef >id
	mkdir there
	cp "$FORGE_STATE/config" there/
	chmod 700 there
	run -0 --separate-stderr host unshare -m sh -c \
		'mount --bind id /etc/machine-id &&
		mount --bind there "$FORGE_STATE" && exec forge-vm fsck'
	[ "$output$stderr" = '' ]
	[ "$(ours | jq length)" = 1 ]
	host forge-vm exec mine -- true
}

tart_start()
{
	echo 127.0.0.1 >mac/address
	export PATH=$PWD/bin:$PATH
	mkdir bin
	ln -s "$ROOT/tests/fake/tart" bin/tart
	cat >"$FORGE_STATE/config" <<-END
	[vm]
		driver = tart
	[driver "tart"]
		user = root
		key-file = $PWD/key
		ssh-port = 2222
	END
	forge-vm image import \
		--template ghcr.io/cirruslabs/macos-sequoia-base:latest mac >/dev/null
}

@test "tart: a Mac's guest runs commands through ssh, secrets unseen" {
	cat >as-darwin <<-'END'
	#!/bin/sh
	[ "$SSH_ORIGINAL_COMMAND" != 'uname -s -m' ] || exec echo Darwin arm64
	exec sh -c "$SSH_ORIGINAL_COMMAND"
	END
	chmod +x as-darwin
	sshd_start "ForceCommand $PWD/as-darwin"
	tart_start
	printf 'TOKEN=hunter2\0' >secrets
	run -3 --separate-stderr host forge-vm run -i mac --cpus 2 -m 4G \
		--env-fd 8 -- sh -c 'cat; echo "$TOKEN"; ps axww >&2; exit 3' \
		8<secrets <<<"in  put"
	[ "$output" = $'in  put\nhunter2' ]
	[[ "$stderr" != *hunter2* ]]
	[[ "$stderr" == *'--through ssh'* ]]
	grep -q -- '--cpu 2 --memory 4096$' mac/shape
	[ -z "$(ls mac/*.vm 2>/dev/null)" ]
	[ -z "$(forge-vm list)" ]
}

@test "tart: what needs an agent over there is refused" {
	cat >as-darwin <<-'END'
	#!/bin/sh
	[ "$SSH_ORIGINAL_COMMAND" != 'uname -s -m' ] || exec echo Darwin arm64
	exec sh -c "$SSH_ORIGINAL_COMMAND"
	END
	chmod +x as-darwin
	sshd_start "ForceCommand $PWD/as-darwin"
	tart_start
	host forge-vm start -i mac -n m1 >/dev/null
	[ "$(forge-vm show m1 -q .address)" = 127.0.0.1 ]
	echo x >file
	run ! host forge-vm cp file m1:/tmp/file
	[ ! -e /tmp/file ]
	run ! host forge-vm exec -t m1 -- true
	run -0 host forge-vm exec m1 -- echo works
	[ "$output" = works ]
	host forge-vm stop --timeout 3s m1
	grep -q '^stop forge-[0-9a-f]*-m1 --timeout 3$' mac/calls
	host forge-vm destroy m1
	[ -z "$(ls mac/*.vm 2>/dev/null)" ]
}

@test "tart: a VM that gets no address, and kill -9" {
	sshd_start
	tart_start
	touch mac/dumb
	run -125 --separate-stderr host forge-vm run -i mac -- true
	[[ "$stderr" == *"got no address"* ]]
	[ -z "$(ls mac/*.vm 2>/dev/null)" ]
	rm mac/dumb
	background run.log ip netns exec "$NET" "$BUILD/bin/forge-vm" run -i mac -n k -- sleep 60
	pid=$LAST_PID
	running() { [ "$(forge-vm show k -q .state 2>/dev/null)" = running ]; }
	wait_until 60 running
	kill -KILL "$pid"
	host forge-vm fsck >/dev/null
	[ -z "$(ls mac/*.vm 2>/dev/null)" ]
}
