#!/usr/bin/env bats
# The place vm:IMAGE of forge-session: the agent in a microVM, its files here.

# Tests are subshells and run sets stderr.
# shellcheck disable=SC2030,SC2031,SC2154

load lib
load agents
load images

# gitbox is busybox with the git of this machine.
setup_file() {
	local file files=()
	common_setup
	model_start --api-key "$AGENT_KEY"
	use_image busybox
	for file in $(command -v git) $(ldd "$(command -v git)" |
		grep -o '/[^ ]*'); do
		files+=(--file "$(realpath "$file"):$file")
	done
	forge-vm image build --base busybox "${files[@]}" gitbox >/dev/null
	export LIB_GITBOX=$FORGE_STATE/image/gitbox
}
teardown_file() { stop_background; }

setup() {
	common_setup
	export FORGE_CONFIG=/dev/null GIT_CONFIG_NOSYSTEM=1
	mkdir -m 700 "$FORGE_STATE"
	use_image busybox
	git config -f "$FORGE_STATE/config" session.vm-memory 192M
	git config --global user.name Owner
	git config --global user.email owner@example.com
	git config --global init.defaultBranch main
	git init -q src
	echo one >src/file
	echo ignored >src/.gitignore
	git -C src add .
	git -C src commit -qm first
	git clone -q --bare src app.git
}
teardown() {
	local id
	for id in $(forge-session list -q .id 2>/dev/null); do
		forge-session stop "$id" || :
	done
	common_teardown
}

# light: VMs that boot in no time, where they can be had
light() {
	! command -v bwrap >/dev/null ||
		git config -f "$FORGE_STATE/config" vm.driver process
}

use_gitbox() {
	cp -al "$LIB_GITBOX" "$FORGE_STATE/image/"
	forge-vm fsck >/dev/null
}

# session ID SCRIPT [OPTION...]: a shell in a VM is the agent
session() {
	local id=$1 script=$2
	shift 2
	forge-session run --name "$id" -P command --in vm:busybox \
		-p "$script" "$@" -- sh -c 'eval "$(cat)"' >"$id.events"
}

said() { jq -r 'select(.kind == "output") | .data.text' "$1.events"; }
no_vm() { [ "$(forge-vm list -q .name)" = '' ]; }
work() { echo "$FORGE_STATE/session/$1/work"; }
state_is() { [ "$(forge-session show "$1" -q .state)" = "$2" ]; }

@test "session vm: what the agent does comes back, and the VM is gone" {
	session one 'hostname; cat file; echo two >>file; mkdir -p a/b
		echo new >a/b/c; ln -s c a/b/link; echo x >ignored
		chmod 755 a/b/c; echo kept >"$HOME/memory"' --repo app.git
	[ "$(said one | tail -n 1)" = one ]
	[[ "$(said one | head -n 1)" == session-one-* ]]
	no_vm
	cd "$(work one)"
	[ "$(cat file)" = $'one\ntwo' ]
	[ "$(stat -c %a a/b/c) $(readlink a/b/link) $(cat ignored)" = '755 c x' ]
	[ "$(cat ../home/memory)" = kept ]
	[ ! -e ../back ] && [ ! -e ../back.tmp ] && [ ! -e ../there ]
	cd ../../../..
	run -0 forge-session diff --stat one
	[[ $output == *'a/b/c'*'a/b/link'*'file '* ]]
	# and goes on to the repository, as from any place
	forge-session commit one
	forge-session push one
	[ "$(git -C app.git show session/one:file)" = $'one\ntwo' ]
	run -125 --separate-stderr forge-session run --name none -P command \
		--in vm:absent -p go -- true
	[[ $stderr == *"no image 'absent'"* ]]
	no_vm
}

@test "session vm: what is deleted there is deleted, turn after turn" {
	forge-session start --name t -P command --in vm:busybox --repo app.git \
		-p 'echo 1 >n; rm file; mkdir d; echo 2 >d/e' -- \
		sh -c 'eval "$(cat)"; ls >>"$HOME/seen"'
	wait_until 60 state_is t idle
	[ "$(ls "$(work t)")" = $'d\nn' ]
	# What is done here meanwhile is there in the next turn.
	forge-session commit t
	echo here >"$(work t)/by-hand"
	forge-session send t 'rm -r d; cat by-hand >copy; mv n m'
	forge-session wait t
	[ "$(cd "$(work t)" && ls; cat copy)" = $'by-hand\ncopy\nm\nhere' ]
	forge-session stop t
	wait_until 60 no_vm
	[ "$(xargs <"$FORGE_STATE/session/t/home/seen")" = 'd n by-hand copy m' ]
	run -0 forge-session diff --stat t
	[[ $output == *'by-hand'*'copy'*'m '* ]]
}

@test "session vm: a guest's links, .git and odd files do no harm" {
	light
	echo secret >outside
	chmod 600 outside
	session h '
		rm -rf .git; mkdir -p .git/hooks sub/.GIT/hooks
		for h in pre-commit post-checkout post-commit; do
			echo "#!/bin/sh
touch '"$PWD"'/owned" >.git/hooks/$h; chmod 755 .git/hooks/$h
			cp .git/hooks/$h sub/.GIT/hooks
		done
		echo "[core]
	fsmonitor = touch '"$PWD"'/owned" >.git/config
		rm file; ln -s '"$PWD"'/outside file
		ln -s '"$PWD"' dir; mkfifo pipe; nc -ll -p 9 -e cat &
		chmod u+s .gitignore; mkdir deep; echo x >deep/x' --repo app.git
	[ "$(readlink "$(work h)/file")" = "$PWD/outside" ]
	[ -f "$(work h)/.git" ]
	[ ! -e "$(work h)/sub/.GIT" ] && [ ! -e "$(work h)/pipe" ]
	[ "$(stat -c %a "$(work h)/.gitignore")" = 644 ]
	# A link of the last turn is not followed by this one's files.
	forge-session resume -f h -p 'rm file dir; mkdir dir
		echo in >dir/outside; echo in >file' >>h.events
	[ "$(cat "$(work h)/file" "$(work h)/dir/outside")" = $'in\nin' ]
	forge-session diff h >h.diff
	forge-session commit h
	forge-session push h
	[ "$(cat outside)" = secret ]
	[ ! -e owned ]
	[ "$(stat -c '%a %h' outside)" = '600 1' ]
	no_vm
}

@test "session vm: too much comes back: refused, and said so" {
	light
	git config -f "$FORGE_STATE/config" session.max-return 1M
	run -1 session big 'dd if=/dev/urandom of=big bs=1M count=3 2>/dev/null' \
		--repo app.git
	[[ $(jq -r 'select(.kind == "status").data.reason' big.events) == 'what the agent did in its place did not come back: '*'more than --max-size allows' ]]
	[ ! -e "$(work big)/big" ]
	[ "$(cat "$(work big)/file")" = one ]
	no_vm
}

@test "session vm: kill -9 of the supervisor keeps the work, and no VM" {
	forge-session start --name k -P command --in vm:busybox --repo app.git \
		-p go -- sh -c 'echo done >half; sync; echo ready; exec sleep 600'
	ready() { forge-session log k | grep -q '"ready"'; }
	wait_until 60 ready
	kill -9 "$(pgrep -f "forge-session supervise --state=$FORGE_STATE k")"
	wait_until 60 state_is k interrupted
	no_vm
	[ "$(cat "$(work k)/half")" = done ]
	[ ! -e "$FORGE_STATE/session/k/back" ]
	# the same again, and the keeper too
	forge-session resume k >/dev/null
	again() { [ "$(forge-session log k | grep -c '"ready"')" = 2 ]; }
	wait_until 60 again
	kill -9 "$(pgrep -f "forge-session supervise --state=$FORGE_STATE k")" \
		"$(pgrep -f "forge-session keep -C $FORGE_STATE ")"
	wait_until 60 state_is k interrupted
	wait_until 60 no_vm
	[ "$(cat "$(work k)/half")" = done ]
}

@test "session vm: an interrupt reaches the agent; a lost VM is told" {
	light
	forge-session start --name i -P command --in vm:busybox --repo app.git \
		-p 'echo 1 >f; echo ready; exec sleep 600' -- sh -c 'eval "$(cat)"'
	ready() { forge-session log i | grep -q '"ready"'; }
	wait_until 60 ready
	forge-session interrupt i
	forge-session wait i
	state_is i idle
	[ "$(cat "$(work i)/f")" = 1 ]
	forge-vm destroy "$(forge-vm list -q .name)"
	forge-session send i 'echo 2 >f'
	wait_until 60 state_is i failed
	[[ "$(forge-session show i -q .reason)" == "VM 'session-i-"*"' ended" ]]
	[ "$(cat "$(work i)/f")" = 1 ]
	forge-session resume i
	forge-session wait i
	[ "$(cat "$(work i)/f")" = 2 ]
	forge-session stop i
	wait_until 60 no_vm
}

# use_model: a provider `probe` whose API is the model
use_model() {
	mkdir -p "$FORGE_STATE/providers/probe"
	cat >"$FORGE_STATE/providers/probe/provider" <<-P
	[provider]
		command = sh -c
		process = turn
		api = $MODEL_URL
		api-path = /v1/
		api-auth = x-api-key: {key}
		api-env = URL={url}
		api-env = TOKEN={token}
	P
	forge-session key probe <<<"$AGENT_KEY"
}

# finds VM WORD: is it in the memory of the VM, all of it?
finds() {
	python3 - "$2" "$(pgrep -f "^qemu-system.* forge-$1,")" <<-'P'
	import re, sys
	word, pid = sys.argv[1].encode(), sys.argv[2]
	with open(f"/proc/{pid}/maps") as maps, \
	        open(f"/proc/{pid}/mem", "rb", 0) as mem:
	    for line in maps:
	        m = re.match(r"(\w+)-(\w+) rw", line)
	        if not m:
	            continue
	        at, end, rest = int(m[1], 16), int(m[2], 16), b""
	        while at < end:
	            mem.seek(at)
	            piece = mem.read(min(end - at, 1 << 20))
	            if word in rest + piece:
	                sys.exit(0)
	            rest, at = piece[-64:], at + max(len(piece), 1)
	sys.exit(1)
	P
}

@test "session vm: the model is reached; the key is nowhere in the VM" {
	use_model
	cat >task <<-'T'
	grep -l 'sk-forge-tes[t]' /proc/*/environ /proc/*/cmdline 2>/dev/null
	find / -xdev -type f ! -path '/proc/*' -exec grep -l 'sk-forge-tes[t]' {} + 2>/dev/null
	echo "net $(ls /sys/class/net | xargs)"
	wget -qO- --header "x-api-key: $TOKEN" "$URL/v1/models" >models && echo reached
	wget -qO- "$URL/v1/models" 2>&1 | head -n 1
	echo "is $TOKEN, mark-of-this-tes""t"
	while [ ! -e /tmp/go ]; do sleep 0.1; done
	T
	forge-session start --once --name m -P probe --in vm:busybox \
		--repo app.git -p "$(cat task)" -- 'eval "$(cat)"'
	asked() { forge-session log m | grep -q 'mark-of-this-test'; }
	wait_until 60 asked
	# It is not in its memory, and the search finds what is.
	vm=$(forge-vm list -q .name)
	finds "$vm" mark-of-this-test
	run -1 finds "$vm" "$AGENT_KEY"
	forge-vm exec "$vm" -- touch /tmp/go
	forge-session wait m
	run -0 forge-session log m -q 'select(.kind == "output").data.text'
	[ "${lines[0]}" = 'net lo' ]
	[ "${lines[1]}" = reached ]
	[[ ${lines[2]} == *'401 '* ]]
	[ "${lines[3]}" = 'is [redacted: proxy token], mark-of-this-test' ]
	[ "$(jq -r '.data | length' "$(work m)/models")" -gt 0 ]
	[ -z "$(grep -rl "$AGENT_KEY" "$FORGE_STATE")" ]
	wait_until 60 no_vm
}

@test "session vm: commits come back, checked" {
	light
	use_gitbox
	start() {
		forge-session run --name "$1" -P command --in vm:gitbox \
			--repo app.git -p "$2" -- sh -c 'eval "$(cat)"' \
			>"$1.events"
	}
	start c 'git log --format=%s >log; echo 2 >>file
		git commit -qam two; git checkout -q -b other
		echo 3 >new; git add new; git commit -qm three; echo 4 >dirty'
	[ "$(git -C "$(work c)" log --format='%s by %an' session/c)" = $'three by forge\ntwo by forge\nfirst by Owner' ]
	[ "$(git -C "$(work c)" status --short | xargs)" = '?? dirty ?? log' ]
	[ "$(cat "$(work c)/log")" = first ]
	run -0 forge-session patch c
	[[ $output == *'Subject: [PATCH] three'* ]]
	forge-session push c
	[ "$(git -C app.git log -1 --format=%s session/c)" = three ]
	# In the next VM it goes on from there.
	forge-session resume -f c -p 'git log --format=%s | head -n 1 >top
		git reset -q --hard HEAD~1; git status --short >status' >>c.events
	[ "$(cat "$(work c)/top")" = three ]
	[ "$(git -C "$(work c)" log -1 --format=%s session/c)" = two ]
	# What git itself would refuse from a stranger it refuses from there.
	start evil 'echo 2 >>file; b=$(echo evil | git hash-object -w --stdin)
		t=$( { printf "100644 .git\\0"; echo $b | xxd -r -p; } |
			git hash-object -w -t tree --literally --stdin)
		git update-ref HEAD $(git commit-tree $t -p HEAD -m evil)'
	[ "$(git -C "$(work evil)" log -1 --format=%s)" = first ]
	[ "$(git -C "$(work evil)" status --short)" = ' M file' ]
	# Nor can it have the commit of another session by its name.
	start thief 'echo "#!/bin/sh
		[ \$1 != rev-parse ] ||
			echo '"$(git -C "$(work c)" rev-parse HEAD)"'" >/usr/bin/git'
	[ "$(git -C "$(work thief)" log -1 --format=%s)" = first ]
	start liar 'cp /usr/bin/git /usr/bin/real; echo 5 >new
		echo "#!/bin/sh
		case \$1 in
		rev-parse) echo 1111111111111111111111111111111111111111;;
		pack-objects) cat >/dev/null; echo garbage; head -c 100000 /dev/zero;;
		*) real \"\$@\";;
		esac" >/usr/bin/git'
	[ "$(git -C "$(work liar)" log -1 --format=%s)" = first ]
	[ "$(cat "$(work liar)/new")" = 5 ]
	no_vm
}

@test "session bwrap --egress none: the proxy, and nothing else" {
	command -v bwrap >/dev/null || skip "bubblewrap is not installed"
	use_model
	port=${MODEL_URL##*:}
	cat >task <<-T
	echo "net \$(ls /proc/sys/net/ipv4/conf | xargs)"
	curl -sS -H "x-api-key: \$TOKEN" "\$URL/v1/models" >models && echo reached
	curl -sS -m 5 http://127.0.0.1:$port/v1/models 2>&1 || echo "model \$?"
	curl -sS -m 5 http://192.0.2.1/ 2>&1 || echo "net \$?"
	cat /proc/*/environ /proc/*/cmdline 2>/dev/null | grep -c 'sk-forge-tes[t]'
	find "\$HOME" . /tmp /etc -type f -exec cat {} + 2>/dev/null | grep -c 'sk-forge-tes[t]'
	id -u
	T
	forge-session run --name b -P probe --in bwrap --egress none \
		--repo app.git -p "$(cat task)" -- 'eval "$(cat)"' >b.events
	mapfile -t out < <(said b)
	[ "${out[0]}" = 'net all default lo' ]
	[ "${out[1]}" = reached ]
	[[ "${out[2]}" == *"Failed to connect to 127.0.0.1 port $port"* ]]
	[ "${out[3]}" = 'model 7' ]
	[[ "${out[4]}" == *"192.0.2.1"* ]]
	[ "${out[5]}" = 'net 7' ]
	[ "${out[*]:6}" = "0 0 $(id -u)" ]
	[ "$(jq -r '.data | length' "$(work b)/models")" -gt 0 ]
	session_is() {
		forge-session run -P probe --in bwrap --egress "$1" -p \
			'curl -sS -m 5 -o /dev/null '"$MODEL_URL"'/v1/models; echo "$?"' \
			-q 'select(.kind == "output").data.text' \
			-- 'eval "$(cat)"'
	}
	run -0 session_is all
	[ "${lines[-1]}" = 0 ]
}

@test "session --egress: what a place cannot do is refused" {
	while IFS='|' read -r place egress message; do
		run -2 --separate-stderr forge-session run -P command \
			--in "$place" --egress "$egress" -p go -- true
		[ "${stderr_lines[0]}" = "forge-session: $message" ]
	done <<-'E'
	here|none|--egress 'none': place 'here' has the network of this machine; choose vm:IMAGE
	slurm|10.0.0.0/8|--egress '10.0.0.0/8': place 'slurm' has the network of this machine; choose vm:IMAGE
	bwrap|example.com|--egress 'example.com': bwrap can have none or all; choose vm:IMAGE
	vm:x||--egress: a network or name is needed, or none, or all
	E
	[ "$(forge-session list --all -q .id)" = '' ]
	run -0 forge-session run -P command --egress all -p go -- echo fine
}
