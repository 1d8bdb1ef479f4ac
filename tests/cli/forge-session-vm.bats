#!/usr/bin/env bats
# The place vm:IMAGE of forge-session: the agent in a microVM, its files here.

# Tests are subshells and run sets stderr.
# shellcheck disable=SC2030,SC2031,SC2154

load lib
load agents
load images

setup_file() {
	common_setup
	model_start --api-key "$AGENT_KEY"
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
	run -125 --separate-stderr session none true --in vm:absent
	[[ $(jq -r 'select(.kind == "status").data.reason' none.events) == *"no image 'absent'"* ]]
	no_vm
}

@test "session vm: what is deleted there is deleted, turn after turn" {
	forge-session start --name t -P command --in vm:busybox --repo app.git \
		-p 'echo 1 >n; rm file; mkdir d; echo 2 >d/e' -- \
		sh -c 'eval "$(cat)"; ls >>"$HOME/seen"'
	wait_until 60 state_is t idle
	[ "$(ls "$(work t)" | xargs)" = 'd n' ]
	# What is done here meanwhile is there in the next turn.
	forge-session commit t
	echo here >"$(work t)/by-hand"
	forge-session send t 'rm -r d; cat by-hand >copy; mv n m'
	forge-session wait t
	[ "$(cd "$(work t)" && ls | xargs; cat copy)" = $'by-hand copy m\nhere' ]
	forge-session stop t
	wait_until 60 no_vm
	[ "$(xargs <"$FORGE_STATE/session/t/home/seen")" = 'd n by-hand copy m' ]
	run -0 forge-session diff --stat t
	[[ $output == *'by-hand'*'copy'*'m '* ]]
}

@test "session vm: a guest's links, .git and odd files do no harm" {
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
