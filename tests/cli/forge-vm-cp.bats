#!/usr/bin/env bats
# forge-vm cp: files into a guest and out of it.

# Tests are subshells and run sets stderr.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154

load lib
load images

setup_file() { one_vm -m 768M; }
teardown_file() { one_vm_end; }
setup() {
	one_vm_setup
	forge-vm exec web -- sh -c 'rm -rf /tmp/* && cd /tmp && mkdir there'
}
teardown() { common_teardown; }

vm() { forge-vm exec web -- sh -c "$1"; }

make_source() {
	mkdir -p src/a/b src/empty
	echo one >src/a/one
	: >src/a/nothing
	head -c 3000000 /dev/urandom >src/a/b/big
	ln -s one src/a/link
	ln -s /nowhere src/a/dangling
	ln src/a/one src/a/hard
	truncate -s 60M src/sparse
	echo end | dd of=src/sparse bs=1 seek=50000000 conv=notrunc \
		status=none
	chmod 640 src/a/one
	chmod 711 src/empty
	[ "$(id -u)" != 0 ] || chown 12:34 src/a/b/big
	touch -h -d '2001-02-03 04:05:06.789' src/a/b src/a/one src/a/link
	touch -d 2002-01-01 src/empty src/a src/a/b/big src
}

# listing DIR: everything of it that cp keeps
listing() {
	(cd "$1" && find . -printf '%P %y %m %U:%G %T@ %n %l ' \
		\( -type f -exec sha256sum {} \; -o -printf '\n' \)) | sort
}

@test "cp: there and back, everything kept" {
	make_source
	run -0 --separate-stderr forge-vm cp src web:/tmp
	[ "$output$stderr" = '' ]
	run -0 vm 'cd /tmp/src && stat -c "%a %u:%g %h %Y" a/one a/b/big empty &&
		readlink a/link && cat a/hard && du -k sparse | cut -f1'
	[ "${lines[0]}" = "640 $(id -u):$(id -g) 2 981173106" ]
	[[ "${lines[1]}" == '644 '*' 1 1009843200' ]]
	[[ "${lines[2]}" == '711 '*' 1009843200' ]]
	[ "${lines[3]}" = one ]
	[ "${lines[4]}" = one ]
	[ "${lines[5]}" -lt 100 ] # the rest of it is a hole
	run -0 --separate-stderr forge-vm cp web:/tmp/src back
	[ "$output$stderr" = '' ]
	listing src >want
	listing back >got
	diff want got
	[ "$(du -k back/sparse | cut -f1)" -lt 100 ]
}

@test "cp: many small files" {
	mkdir many
	for i in $(seq 3000); do echo "$i" >"many/$i"; done
	forge-vm cp many web:/tmp
	run -0 vm 'ls /tmp/many | wc -l; cat /tmp/many/* | sort -n | tail -n 1'
	[ "$output" = $'3000\n3000' ]
	forge-vm cp web:/tmp/many back
	diff -r many back
}

@test "cp: where it goes to is as with cp" {
	echo x >file
	mkdir dir
	echo y >dir/in
	forge-vm cp file web:/tmp/there
	forge-vm cp file web:/tmp/new
	forge-vm cp file web:/tmp/there/./new
	forge-vm cp dir web:/tmp/there
	forge-vm cp dir/ web:/tmp/other
	forge-vm cp dir/. web:/tmp/content
	forge-vm cp dir/. web:/tmp/there
	run -0 vm 'cd /tmp && find new there other content -type f | sort'
	[ "$output" = 'content/in
new
other/in
there/dir/in
there/file
there/in
there/new' ]
	forge-vm cp file web: # where commands start
	run -0 forge-vm exec web -- cat file
	[ "$output" = x ]
	forge-vm cp -u 1000:100 file web:/tmp/mine
	run -0 vm 'stat -c %u:%g /tmp/mine'
	[ "$output" = 1000:100 ]

	forge-vm cp web:/tmp/there .
	forge-vm cp web:/tmp/there/. flat
	forge-vm cp web:/tmp/new dir
	forge-vm cp web:/tmp/new "$PWD/dir/newer"
	run -0 bash -c 'find there flat dir -type f | sort'
	[ "$output" = 'dir/in
dir/new
dir/newer
flat/dir/in
flat/file
flat/in
flat/new
there/dir/in
there/file
there/in
there/new' ]
	# What is there is replaced, a link not followed.
	echo keep >kept
	ln -s "$PWD/kept" dir/link
	forge-vm cp web:/tmp/new dir/link
	[ "$(cat kept)" = keep ]
	[ ! -L dir/link ]
	[ "$(cat dir/link)" = x ]
}

@test "cp: - is a tar stream" {
	make_source
	tar cf - src | forge-vm cp - web:/tmp/there
	run -0 vm 'cat /tmp/there/src/a/hard; du -k /tmp/there/src/sparse | cut -f1'
	[ "${lines[0]}" = one ]
	tar czf src.tgz --format=posix src
	forge-vm cp - web:/tmp/gz <src.tgz
	forge-vm cp web:/tmp/gz/src - >out.tar
	mkdir back
	tar xf out.tar -C back
	listing src >want
	listing back/src >got
	diff want got
	run -1 --separate-stderr bash -c 'echo junk | forge-vm cp - web:/tmp/x'
	[[ "$stderr" == 'forge-vm: stdin: '* ]]
	tar cf - -P --transform 's|^src|../out|' src/a/one | {
		run -1 --separate-stderr forge-vm cp - web:/tmp/there
		[ "$stderr" = "forge-vm: in the VM: cannot write '../out/a/one': Operation not permitted" ]
	}
	run -0 script -qec 'forge-vm cp web:/tmp/gz -; echo $?' /dev/null
	[ "${lines[0]}" = $'forge-vm: a tar stream is not for a terminal\r' ]
	[ "$(tr -d '\r' <<<"${lines[-1]}")" = 2 ]
}

@test "cp: a link in the guest leads nowhere else" {
	mkdir -p d/evil
	echo x >d/evil/passwd
	vm 'mkdir /tmp/d && ln -s /etc /tmp/d/evil'
	run -1 --separate-stderr forge-vm cp d web:/tmp
	[ "$stderr" = "forge-vm: in the VM: cannot write 'd/evil': Not a directory" ]
	run -0 vm 'cat /tmp/d/evil/passwd | head -n 1 | cut -c1-5'
	[ "$output" = root: ]
	# nor here
	mkdir -p out/d
	ln -s "$HOME" out/d/evil
	vm 'rm /tmp/d/evil; mkdir /tmp/d/evil; echo x >/tmp/d/evil/file'
	run -1 --separate-stderr forge-vm cp web:/tmp/d out
	[ "$stderr" = "forge-vm: cannot write 'd/evil': Not a directory" ]
	[ ! -e "$HOME/file" ]
}

@test "cp: no set-user-ID, device or FIFO comes out of a guest" {
	vm 'mkdir /tmp/s && cd /tmp/s && cp /bin/busybox su && chmod 6755 su &&
		mkfifo fifo && mknod null c 1 3'
	run -1 --separate-stderr forge-vm cp web:/tmp/s .
	[ "$stderr" = 'forge-vm: 2 entries were left out' ]
	[ "$(stat -c %a s/su)" = 755 ]
	[ "$(ls s)" = su ]
	[ "$(id -u)" = 0 ] || return 0
	forge-vm cp --devices web:/tmp/s .
	[ "$(stat -c '%F %t,%T' s/null)" = 'character special file 1,3' ]
	run -1 --separate-stderr forge-vm cp s web:/tmp/t
	[ "${stderr_lines[0]}" = "forge-vm: warning: cannot read 's/fifo': Operation not supported" ] ||
		[ "${stderr_lines[1]}" = "forge-vm: warning: cannot read 's/fifo': Operation not supported" ]
	[ "${stderr_lines[2]}" = 'forge-vm: 2 entries were left out' ]
}

@test "cp: kill -9 of it leaves no half file on either side" {
	head -c 60000000 /dev/zero | tr '\0' x >big
	for moment in 0.05 0.1 0.2; do
		forge-vm cp big web:/tmp/big 3>&- 4>&- &
		pid=$!
		sleep "$moment"
		kill -9 "$pid" 2>/dev/null || true
		wait "$pid" || true
		run -0 vm 'ls -A /tmp; stat -c %s /tmp/big 2>/dev/null; true'
		[ "$output" = there ] || [ "$output" = $'big\nthere\n60000000' ]
		vm 'rm -f /tmp/big'
	done
	forge-vm cp big web:/tmp/big
	mkdir to
	for moment in 0.05 0.1 0.2; do
		forge-vm cp web:/tmp/big to 3>&- 4>&- &
		pid=$!
		sleep "$moment"
		kill -9 "$pid" 2>/dev/null || true
		wait "$pid" || true
		[ -z "$(ls -A to)" ] || cmp big to/big
		rm -f to/big
	done
	# TERM is told
	mkfifo slow
	exec 7<>slow
	background log forge-vm cp web:/tmp/big - 
	forge-vm cp - web:/tmp/x <&7 2>err 3>&- 4>&- &
	pid=$!
	sleep 0.3
	kill -TERM "$pid"
	status=0
	wait "$pid" || status=$?
	exec 7>&-
	[ "$status" = 1 ]
	[ "$(cat err)" = 'forge-vm: stdin: interrupted' ]
}

@test "cp: what is wrong is told in one line" {
	echo x >file
	run -3 --separate-stderr forge-vm cp nope web:/tmp
	[ "$stderr" = "forge-vm: cannot read 'nope': No such file or directory" ]
	run -3 --separate-stderr forge-vm cp web:/nope .
	[ "$stderr" = "forge-vm: in the VM: cannot read '/nope': No such file or directory" ]
	run -3 --separate-stderr forge-vm cp file web:/no/where
	[ "$stderr" = "forge-vm: in the VM: cannot write '/no/where': No such file or directory" ]
	run -3 --separate-stderr forge-vm cp file web:/tmp/new/
	[ "$stderr" = "forge-vm: in the VM: cannot write '/tmp/new/': No such file or directory" ]
	run -3 --separate-stderr forge-vm cp web:/etc/passwd ./no/where
	[ "$stderr" = "forge-vm: cannot write './no/where': No such file or directory" ]
	run -1 --separate-stderr forge-vm cp -u 1000 web:/etc/shadow . ||
		[ "$status" = 3 ] # an image without it
	run -2 --separate-stderr forge-vm cp file other
	[ "${stderr_lines[0]}" = "forge-vm: one of 'file' and 'other' must be NAME:PATH, the other not" ]
	run -2 --separate-stderr forge-vm cp web:a web:b
	run -2 --separate-stderr forge-vm cp ./a:b ./c:d
	run -2 --separate-stderr forge-vm cp file 'a b:c'
	run -2 --separate-stderr forge-vm cp file
	run -3 --separate-stderr forge-vm cp file nope:/tmp
	[ "$stderr" = "forge-vm: VM 'nope' does not run; 'forge-vm list' shows those there are" ]
	run -8 --separate-stderr forge-vm cp --max-size 1K web:/bin/busybox .
	[ "$stderr" = 'forge-vm: the VM sent more than --max-size allows' ]
	[ ! -e busybox ]
	vm 'dd if=/dev/zero of=/tmp/fill bs=1M 2>/dev/null; true'
	head -c 5000000 /dev/urandom >file
	run -1 --separate-stderr forge-vm cp file web:/tmp/full
	[ "$stderr" = "forge-vm: in the VM: cannot write 'file': No space left on device" ]
	run -1 vm 'test -e /tmp/full'
}
