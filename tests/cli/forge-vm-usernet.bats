#!/usr/bin/env bats
# --net user and user+loopback: what a guest reaches, and what not.

load lib
load images

setup() {
	common_setup
	use_image busybox
	export FORGE_CONFIG=/dev/null
}
teardown() {
	common_teardown
	[ -z "$(pgrep -f "^passt .*--address 10.127.77.")" ]
}

# A listener on the host's loopback that answers "secret".
listener() {
	background port /usr/bin/python3 -c '
import socket
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
while True:
    c = s.accept()[0]
    c.sendall(b"secret\n")
    c.close()'
	wait_until 60 test -s port
	PORT=$(cat port)
	git config -f "$FORGE_STATE/config" vm.subnet 10.127.77.0/24
}

# Ask it from a guest by each address that might be the host.
ask() { # NET
	forge-vm run -i busybox --net "$1" -- sh -c "
		for a in 127.0.0.1 10.127.77.1 10.127.77.2 10.127.77.16; do
			echo | timeout 3 nc \$a $PORT 2>/dev/null
		done; true"
}

@test "net user: the host's loopback is out of reach" {
	listener
	run -0 --separate-stderr ask user
	[[ "$output" != *secret* ]]
	[ "$(echo | timeout 3 bash -c "cat </dev/tcp/127.0.0.1/$PORT")" = secret ]
}

@test "net user+loopback: it is the gateway's address" {
	listener
	run -0 --separate-stderr ask user+loopback
	[ "$output" = secret ]
}

@test "net user: works as an ordinary user too" {
	[ "$(id -u)" = 0 ] || skip "we are one already"
	dir=$(mktemp -d /tmp/forge-user.XXXXXX)
	cp -a "$FORGE_STATE" "$dir/state"
	chown -R 65534:65534 "$dir"
	run -0 --separate-stderr setpriv --reuid 65534 --regid 65534 \
		--clear-groups env HOME="$dir" FORGE_STATE="$dir/state" \
		forge-vm run -i busybox --net user -- ip -o -4 addr show dev eth0
	rm -rf "$dir"
	[[ "$output" == *'inet 10.127.0.16/16 '* ]]
}

@test "net user: names are resolved by the host's own server" {
	[ "$(id -u)" = 0 ] || skip "needs root"
	cat >dns.py <<-'END'
	import socket
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	s.bind(("127.0.0.53", 53))
	print("ready", flush=True)
	while True:
	    q, a = s.recvfrom(512)
	    end = q.index(b"\0", 12) + 5
	    s.sendto(q[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + q[12:end] +
	        b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x01\x02\x03\x04", a)
	END
	echo nameserver 127.0.0.53 >resolv
	# With a network of its own, where 127.0.0.53 is free.
	run -0 unshare -m -n bash -c '
		ip link set lo up
		ip link add d0 type veth peer name d1
		ip link set d0 up && ip link set d1 up
		ip addr add 192.0.2.9/24 dev d0 && ip route add default dev d0
		mount --bind resolv /etc/resolv.conf
		/usr/bin/python3 dns.py >dns.log & pid=$!
		until [ -s dns.log ]; do sleep 0.05; done
		forge-vm run -i busybox --net user -- nslookup a.example 10.127.0.2
		kill $pid'
	[[ "$output" == *'Name:	a.example'*'Address: 1.2.3.4'* ]]
}

@test "net user: without passt it is told, and nothing stays" {
	mkdir bin
	ln -s "$(command -v qemu-system-x86_64)" bin/
	run -125 --separate-stderr env PATH="$BUILD/bin:$PWD/bin" \
		forge-vm run -i busybox --net user -- true
	[ "$stderr" = 'forge-vm: --net user needs passt: install it, or use --net none' ]
	[ -z "$(forge-vm list)$(forge-vm lease list)" ]
	run -2 --separate-stderr forge-vm run -i busybox --net nowhere -- true
	[ "${stderr_lines[0]}" = "forge-vm: --net: 'nowhere' is not none, user, user+loopback or tap" ]
}

@test "net user: a host without a route is told of" {
	[ "$(id -u)" = 0 ] || skip "needs root"
	run -125 --separate-stderr unshare -n forge-vm run -i busybox --net user -- true
	[ "$output" = '' ]
	[ "$stderr" = 'forge-vm: the network: passt ended with status 1: External interface not usable' ]
}

@test "net user: when passt dies, the VM ends and says so" {
	forge-vm run -i busybox -n dead --net user -- sleep 60 >out 2>err 3>&- &
	pid=$!
	wait_until 60 forge-vm wait --for ready dead 2>/dev/null
	kill -9 "$(pgrep -P "$pid" -f '^passt ')"
	status=0
	wait "$pid" || status=$?
	[ "$status" = 125 ]
	[ "$(cat err)" = 'forge-vm: the network: passt ended with status 137' ]
	[ -z "$(forge-vm list)" ]
}

@test "net user: passt ends with its VM, also by kill -9" {
	forge-vm run -i busybox -n dead --net user -- sleep 60 >out 2>err 3>&- &
	pid=$!
	wait_until 60 forge-vm wait --for ready dead 2>/dev/null
	passt=$(pgrep -P "$pid" -f '^passt ')
	kill -9 "$pid"
	wait "$pid" || true
	gone() { ! kill -0 "$passt" 2>/dev/null; }
	wait_until 60 gone
}
