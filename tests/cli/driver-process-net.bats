#!/usr/bin/env bats
# The driver process with --net user: the same network as a VM's, through a
# tap in its own namespace and a relay to passt.

# Tests are subshells, run sets stderr, a dollar in quotes is for sh.
# shellcheck disable=SC2016,SC2030,SC2031,SC2143,SC2154

load lib
load images

setup() {
	common_setup
	use_image busybox
	export FORGE_CONFIG=/dev/null
	git config -f "$FORGE_STATE/config" vm.subnet 10.127.78.0/24
	[ -c /dev/net/tun ] || skip 'no /dev/net/tun'
}
teardown() {
	common_teardown
	[ -z "$(pgrep -f '^passt .*--address 10.127.78.')" ]
}

place() { forge-vm run --driver process -i busybox "$@"; }

# A server of files on the host's loopback: $PORT
server() {
	mkdir files
	head -c 8388608 /dev/urandom >files/big
	background log /usr/bin/python3 -uc '
import functools, http.server
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(
    http.server.SimpleHTTPRequestHandler, directory="files"))
open("port", "w").write(str(s.server_port) + "\n")
s.serve_forever()'
	wait_until 60 test -s port
	PORT=$(cat port)
}

@test "process net user: address, route and name server are the VM's" {
	run -0 --separate-stderr place --net user -n web -- sh -c \
		'ip -o -4 addr show eth0 | cut -d" " -f7; ip route | head -n 1
		cat /etc/resolv.conf; grep web /etc/hosts
		ip link show lo | grep -c LOWER_UP'
	[ "$output" = "10.127.78.16/24
default via 10.127.78.1 dev eth0 
nameserver 10.127.78.2
10.127.78.16 web
1" ]
	[ "$stderr" = '' ]
}

@test "process net user+loopback: 8 MiB from the host, as they are" {
	server
	run -0 --separate-stderr place --net user+loopback -- sh -c \
		"wget -qO- http://10.127.78.1:$PORT/big | sha256sum"
	[ "${output%% *}" = "$(sha256sum <files/big | cut -d' ' -f1)" ]
	[ "$stderr" = '' ]
}

@test "process net user: the host's loopback is out of reach" {
	server
	run -0 --separate-stderr place --net user -- sh -c \
		"for a in 127.0.0.1 10.127.78.1 10.127.78.2 10.127.78.16; do
			timeout 2 wget -qO- http://\$a:$PORT/ 2>/dev/null
		done; echo end"
	[ "$output" = end ]
}

@test "process net user: the place cannot change its network" {
	run -0 place --net user -- sh -c \
		'ip addr add 10.1.1.1/8 dev eth0 2>/dev/null && echo address
		ip link set eth0 down 2>/dev/null && echo link
		ip route del default 2>/dev/null && echo route
		ping -c 1 10.127.78.1 >/dev/null 2>&1 && echo raw
		echo end'
	[ "$output" = end ]
}

@test "process net user: kill -9 takes passt and the relay along" {
	forge-vm run --driver process -i busybox --net user -n gone -- \
		sleep 2718281 >out 2>err 3>&- &
	pid=$!
	wait_until 60 forge-vm wait --for ready gone 2>/dev/null
	mapfile -t all < <(pgrep -g "$(pgrep -P "$pid" bwrap)")
	[ "${#all[@]}" -ge 2 ]
	kill -9 "$pid"
	wait "$pid" || true
	wait_until 60 bash -c "[ -z \"\$(pgrep -fx 'sleep 2718281')\" ]"
	wait_until 60 bash -c '[ -z "$(pgrep -f "^passt .*--address 10.127.78.")" ]'
	for p in "${all[@]}"; do
		wait_until 60 bash -c "[[ \"\$(ps -o stat= -p $p)\" =~ ^(Z.*)?\$ ]]"
	done
	forge-vm fsck >fsck.log
	[ -z "$(forge-vm fsck -n)" ]
}

@test "process net user: as an ordinary user, where the tap may be made" {
	[ "$(id -u)" = 0 ] || skip 'we are one already'
	dir=$(mktemp -d /tmp/forge-user.XXXXXX)
	cp -r "$FORGE_STATE" "$dir/state"
	cp -r "$BUILD/bin" "$BUILD/libexec" "$dir/"
	chown -R 65534:65534 "$dir"
	status=0
	setpriv --reuid 65534 --regid 65534 --clear-groups env \
		FORGE_STATE="$dir/state" "$dir/bin/forge-vm" run \
		--driver process -i busybox --net user -- \
		sh -c 'ip -o -4 addr show eth0 | cut -d" " -f7' >out 2>err ||
		status=$?
	rm -rf "$dir"
	if setpriv --reuid 65534 --regid 65534 --clear-groups \
		test -w /dev/net/tun; then
		[ "$status" = 0 ]
		[ "$(cat out)" = 10.127.78.16/24 ]
	else
		[ "$status" = 125 ]
		[ "$(cat err)" = "forge-vm: the hypervisor ended with status 1: driver-process: --net user needs '/dev/net/tun' (modprobe tun): Permission denied" ]
	fi
}

@test "process net user: without passt it says so" {
	mkdir bin
	for tool in bwrap fsck.erofs sh; do
		ln -s "$(PATH=$PATH:/usr/sbin command -v "$tool")" bin/
	done
	run -125 --separate-stderr env PATH="$PWD/bin" "$BUILD/bin/forge-vm" \
		run --driver process -i busybox --net user -- true
	[ "$output" = '' ]
	[ "$stderr" = 'forge-vm: --net user needs passt: install it, or use --net none' ]
}
