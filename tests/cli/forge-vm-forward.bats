#!/usr/bin/env bats
# forge-vm forward: ports of a guest that has no network.

# Tests are subshells and run sets stderr.
# shellcheck disable=SC2030,SC2031,SC2154

load lib
load images

# One VM for all: "/" says hello, /cgi-bin/none nothing, port 7 is an echo.
setup_file() {
	one_vm
	forge-vm exec web -- sh -c 'mkdir /www && cd /www &&
		head -c 8000000 /dev/urandom >big && echo hello >index.html &&
		httpd -p 127.0.0.1:80 -h /www && httpd -p "[::1]:6" -h /www'
	background "$(tmpdir)/echo" forge-vm exec web -- nc -ll -p 7 -e cat
}
teardown_file() { one_vm_end; }
setup() { one_vm_setup; }
teardown() { common_teardown; }

# forward_start SPEC...: sets PLACES, one for each, and PID
forward_start() {
	local i
	rm -f places
	mkfifo places
	forge-vm forward web "$@" >places 2>err 3>&- 4>&- &
	PID=$!
	echo "$PID" >>"$(tmpdir)/pids"
	exec 5<places
	for ((i = 0; i < $#; i++)); do
		read -r -t 10 'PLACES[i]' <&5
	done
	exec 5<&-
}

# forward_end STATUS: by TERM, and it said nothing
forward_end() {
	local status=0
	kill -TERM "$PID"
	wait "$PID" || status=$?
	[ "$status" = "$1" ]
	[ ! -s err ]
}

@test "forward: it prints where it listens, and carries HTTP" {
	forward_start 0:80
	[[ "${PLACES[0]}" =~ ^127\.0\.0\.1:[0-9]+$ ]]
	run -0 --separate-stderr curl -sS "http://${PLACES[0]}/"
	[ "$output" = hello ]
	[ "$stderr" = '' ]
	curl -sS "http://${PLACES[0]}/big" | sha256sum >here
	forge-vm exec web -- sh -c 'sha256sum </www/big' >there
	cmp here there
	forward_end 0
	run -7 curl -s "http://${PLACES[0]}/"
}

@test "forward: many places, many connections at once" {
	forward_start :80 '[::1]:0:80' ./web.sock:80 localhost:0:6
	[[ "${PLACES[1]}" =~ ^\[::1\]:[0-9]+$ ]]
	[ "${PLACES[2]}" = ./web.sock ]
	[ "$(stat -c '%F %a' web.sock)" = 'socket 600' ]
	for place in "${PLACES[0]}" "${PLACES[1]}" "${PLACES[3]}"; do
		run -0 curl -sS "http://$place/"
		[ "$output" = hello ]
	done
	run -0 curl -sS --unix-socket web.sock http://x/
	[ "$output" = hello ]
	for i in $(seq 150); do
		curl -sS -m 20 "http://${PLACES[0]}/" >"out.$i" 2>&1 3>&- &
		pids[i]=$!
	done
	for i in $(seq 150); do wait "${pids[i]}"; done
	[ "$(cat out.* | sort | uniq -c | tr -s ' ')" = ' 150 hello' ]
	forward_end 0
	[ ! -e web.sock ]
}

@test "forward: the end of one direction is not the end of the other" {
	head -c 3000000 /dev/urandom >in
	forward_start 0:7
	timeout 20 socat -t 15 - "TCP:${PLACES[0]}" <in >out
	cmp in out
	forward_end 0
}

@test "forward: a port where nobody listens is a reset, as it would be there" {
	forward_start 0:99
	run -1 bash -c "exec 3<>/dev/tcp/${PLACES[0]/:/\/} && cat <&3"
	[[ "$output" == *'Connection reset by peer'* ]]
	forward_end 0
}

@test "forward: who does not read holds up nobody" {
	forward_start 0:80
	for _ in 1 2 3; do
		background slow bash -c "exec 3<>/dev/tcp/${PLACES[0]/:/\/}
			printf 'GET /big HTTP/1.0\r\n\r\n' >&3
			exec sleep 60"
	done
	sleep 0.5
	run -0 curl -sS -m 10 "http://${PLACES[0]}/"
	[ "$output" = hello ]
	# and costs little: a window for each
	[ "$(awk '/VmHWM/ { print $2 }' "/proc/$PID/status")" -lt 20000 ]
	run -0 forge-vm exec web -- echo here
	[ "$output" = here ]
	forward_end 0
}

@test "forward: killed, or its client killed, the guest's side ends" {
	forward_start 0:7
	background cat socat -u "TCP:${PLACES[0]}" OPEN:/dev/null
	wait_until 60 forge-vm exec web -- pidof cat >/dev/null
	kill -9 "$LAST_PID"
	wait_until 60 forge-vm exec web -- sh -c '! pidof cat'
	background cat socat -u "TCP:${PLACES[0]}" OPEN:/dev/null
	wait_until 60 forge-vm exec web -- pidof cat >/dev/null
	kill -9 "$PID"
	wait "$PID" || true
	wait_until 60 forge-vm exec web -- sh -c '! pidof cat'
}

@test "forward: an old socket is replaced, a live one and a file are not" {
	forward_start ./s:80
	run -4 --separate-stderr forge-vm forward web ./s:80
	[ "$output" = '' ]
	[ "$stderr" = "forge-vm: cannot listen on './s': Address already in use" ]
	kill -9 "$PID"
	wait "$PID" || true
	[ -S s ]
	forward_start ./s:80
	forward_end 0
	echo mine >file
	run -4 --separate-stderr forge-vm forward web ./file:80
	[ "$(cat file)" = mine ]
	forward_start 0:80
	run -4 --separate-stderr forge-vm forward web "${PLACES[0]}:80"
	[ "$stderr" = "forge-vm: cannot listen on '${PLACES[0]}': Address already in use" ]
	forward_end 0
}

@test "forward: ends with the VM, and says so" {
	forge-vm start -i busybox -n short --net none >/dev/null
	background log forge-vm forward short 0:80
	wait_until 60 test -s log
	forge-vm destroy short
	status=0
	wait "$LAST_PID" || status=$?
	[ "$status" = 1 ]
	[ "$(tail -n 1 log)" = "forge-vm: VM 'short': the VM ended" ]
	run -3 --separate-stderr forge-vm forward short 0:80
	[ "$output" = '' ]
	[ "$stderr" = "forge-vm: VM 'short' does not run; 'forge-vm list' shows those there are" ]
}

@test "forward -R: a port of the guest leads to this one of the host" {
	mkdir www
	echo from the host >www/index.html
	head -c 4000000 /dev/urandom >www/big
	background httpd busybox httpd -f -p 127.0.0.1:"$((PORT = 20000 + $$ % 10000))" -h www
	wait_until 60 curl -s -o /dev/null "http://127.0.0.1:$PORT/"
	forward_start "-R0:$PORT"
	[[ ${PLACES[0]} =~ ^web:[0-9]+$ ]]
	port=${PLACES[0]#web:}
	run -0 forge-vm exec web -- wget -qO- "http://127.0.0.1:$port/"
	[ "$output" = 'from the host' ]
	forge-vm exec web -- sh -c "wget -qO- http://127.0.0.1:$port/big |
		sha256sum" >there
	sha256sum - <www/big >here
	cmp here there
	# many at once, and more than wait for one
	forge-vm exec web -- sh -c "for i in \$(seq 60); do
		wget -qO- http://127.0.0.1:$port/ & done; wait" | sort |
		uniq -c | tr -s ' ' >many
	[ "$(cat many)" = ' 60 from the host' ]
	forward_end 0
	run -1 forge-vm exec web -- wget -qO- "http://127.0.0.1:$port/"
	[[ $output == *'Connection refused'* ]]
}

@test "forward -R: either end of a connection ends as it would there" {
	head -c 3000000 /dev/urandom >in
	background echo socat UNIX-LISTEN:echo.sock,fork EXEC:cat
	wait_until 60 test -S echo.sock
	forward_start -R70:./echo.sock -R71:1 0:7
	[ "${PLACES[*]}" = "${PLACES[0]} web:70 web:71" ]
	forge-vm exec web -- sh -c 'cat | nc 127.0.0.1 70' <in >out
	cmp in out
	# nobody listens here: not another port, but an end
	run forge-vm exec web -- nc 127.0.0.1 71
	[ "$output" = '' ] || [[ $output == *'reset by peer'* ]]
	kill -9 "$PID"
	wait "$PID" || true
	refused() { run -1 forge-vm exec web -- nc 127.0.0.1 70; }
	wait_until 60 refused
}

@test "forward -R: a port that is taken, and what is none, is told" {
	run -4 --separate-stderr forge-vm forward -R 7:80 web
	[ "$stderr" = 'forge-vm: cannot listen on port 7 in the VM: Address already in use' ]
	while IFS='|' read -r spec message; do
		run -2 --separate-stderr forge-vm forward "-R$spec" web
		[ "$output" = '' ]
		[ "${stderr_lines[0]}" = "forge-vm: $message" ]
	done <<-'E'
	80:0|'80:0' is not PORT:[ADDR:]HOSTPORT or PORT:PATH
	80:|'80:' is not PORT:[ADDR:]HOSTPORT or PORT:PATH
	80:[]:1|'80:[]:1' is not PORT:[ADDR:]HOSTPORT or PORT:PATH
	x:80|PORT: 'x' is not a number
	65536:1|PORT: '65536' is not between 0 and 65535
	80:host.example:80|'host.example' is not an address like 127.0.0.1 or [::1]
	E
	run -2 --separate-stderr forge-vm forward web
}

@test "forward: what is no place is told" {
	while IFS='|' read -r spec message; do
		run -2 --separate-stderr forge-vm forward web "$spec"
		[ "$output" = '' ]
		[ "${stderr_lines[0]}" = "forge-vm: $message" ]
	done <<-'E'
	80:|'80:' is not [ADDR:]HOSTPORT:PORT or PATH:PORT
	|'' is not [ADDR:]HOSTPORT:PORT or PATH:PORT
	x:80|HOSTPORT: 'x' is not a number
	80:x|PORT: 'x' is not a number
	80:0|PORT: '0' is not between 1 and 65535
	0|PORT: '0' is not between 1 and 65535
	65536:80|HOSTPORT: '65536' is not between 0 and 65535
	host.example:80:80|'host.example' is not an address like 127.0.0.1 or [::1]
	1.2.3.4.5:80:80|'1.2.3.4.5' is not an address like 127.0.0.1 or [::1]
	::1:80:80|'::1:80:80' is not [ADDR:]HOSTPORT:PORT or PATH:PORT
	[]:80:80|'[]:80:80' is not [ADDR:]HOSTPORT:PORT or PATH:PORT
	E
	long=/$(printf '%0200d' 0)
	run -2 --separate-stderr forge-vm forward web "$long:80"
	[[ "${stderr_lines[0]}" == *'a path of more than 107 bytes cannot be a socket' ]]
	run -1 --separate-stderr forge-vm forward web 192.0.2.1:0:80
	[ "$stderr" = "forge-vm: cannot listen on '192.0.2.1:0': Cannot assign requested address" ]
	run -2 --separate-stderr forge-vm forward web
	run -2 --separate-stderr forge-vm forward ../x 0:80
}
