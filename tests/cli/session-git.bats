#!/usr/bin/env bats
# forge-session diff, patch, commit, push, revert: against a real sshd with a
# real bare repository, on a port of loopback.

# Tests are subshells, and run sets stderr.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load lib

setup()
{
	common_setup
	export FORGE_CONFIG=/dev/null GIT_CONFIG_NOSYSTEM=1
	git config --global user.name Owner
	git config --global user.email owner@example.com
	git config --global init.defaultBranch main
	forge-session identity create bot --author 'Bot <bot@example.com>' \
		>bot.pub
	seed
}

teardown() { common_teardown; }

# seed: acme/app.git, with one commit on main
seed()
{
	git init -q seed
	echo one >seed/file
	printf '*.log\n' >seed/.gitignore
	git -C seed add .
	git -C seed commit -qm first
	mkdir acme
	git clone -q --bare seed acme/app.git
	git -C seed remote add app "$PWD/acme/app.git"
}

# sshd_start: sets URL; the host keys are hostkey and hostkey.pub
sshd_start()
{
	local try
	[ -e hostkey ] || ssh-keygen -q -t ed25519 -N '' -f hostkey
	printf 'restrict %s\n' "$(cat bot.pub)" >authorized
	for ((try = 0; try < 20; try++)); do
		[ -n "${PORT:-}" ] || PORT=$((20000 + RANDOM % 12000))
		cat >sshd_config <<-EOF
			ListenAddress 127.0.0.1
			Port $PORT
			HostKey $PWD/hostkey
			AuthorizedKeysFile $PWD/authorized
			StrictModes no
			UsePAM no
			PasswordAuthentication no
			PermitRootLogin yes
			MaxStartups 200
			PidFile none
		EOF
		mkdir -p /run/sshd 2>/dev/null || :
		background sshd.log /usr/sbin/sshd -D -e -f "$PWD/sshd_config"
		if wait_until 60 sshd_says; then
			grep -q 'Server listening' sshd.log && break
		fi
		PORT=
	done
	URL=ssh://$(id -un)@127.0.0.1:$PORT$PWD/acme/app.git
}

sshd_says()
{
	grep -qE 'Server listening|Bind to port' sshd.log
}

# session ID SCRIPT [OPTION...]: an agent that is a shell
session()
{
	local id=$1 script=$2
	shift 2
	forge-session run --name "$id" -i bot -P command -p 'Do the work' \
		"$@" -- sh -c "read -r x; $script" >>"$id.events"
}

app()
{
	git --git-dir=acme/app.git "$@"
}

@test "over ssh: clone, commit, push; the key is the identity's" {
	sshd_start
	session one 'echo new >new; echo x >x.log; echo two >>file' \
		--repo "$URL"
	run -0 --separate-stderr forge-session commit one
	[ "$output$stderr" = "" ]
	run -1 --separate-stderr forge-session commit one
	[ "$stderr" = "forge-session: session 'one' has nothing to commit" ]
	run -0 --separate-stderr forge-session push one \
		-q '[.name, .branch, .pushed]'
	[ "$output" = '["","session/one",true]' ]
	[ "$stderr" = "" ]
	[ "$(app log -1 --format='%an <%ae>|%cn|%s|%b' session/one)" = \
		"Bot <bot@example.com>|Bot|Do the work|Session: one" ]
	[ "$(app show --stat --format= session/one | wc -l)" = 3 ]
	[ "$(app show session/one:file)" = "one
two" ]
	run -0 forge-session push one -q .pushed
	[ "$output" = false ]
	run -0 forge-session push one --branch topic/x -q .pushed
	[ "$output" = true ]
	[ "$(app rev-parse topic/x)" = "$(app rev-parse session/one)" ]
	# the agent's own view agrees
	[ "$(git -C "$FORGE_STATE/session/one/work" status --short)" = "" ]
	run -0 forge-watch events -q 'select(.kind | test("^session.(commi|pus)"))
		| [.kind, .subject, .data.branch]'
	[ "$output" = '["session.committed","one",null]
["session.pushed","one","session/one"]
["session.pushed","one","topic/x"]' ]
	# no key was written anywhere
	run -1 grep -rl 'PRIVATE KEY' "$FORGE_STATE"
	[ -s "$FORGE_STATE/known_hosts" ]
}

@test "another host key is refused, in one line, before anything is sent" {
	sshd_start
	session one 'echo new >new' --repo "$URL"
	forge-session commit one
	stop_background
	rm hostkey hostkey.pub
	sshd_start
	run -6 --separate-stderr forge-session push one
	[ "$output" = "" ]
	[ "$stderr" = "forge-session: the host key of '127.0.0.1:$PORT' has\
 changed: nothing was sent; if it should have, remove the old one with\
 'ssh-keygen -R' from '$FORGE_STATE/known_hosts'" ]
	[ "$(app branch --list --format '%(refname)')" = refs/heads/main ]
	ssh-keygen -q -R "[127.0.0.1]:$PORT" -f "$FORGE_STATE/known_hosts"
	forge-session push one
	app rev-parse session/one
}

@test "a key that the host does not know; no such repository; nobody there" {
	sshd_start
	forge-session identity create other --author 'O <o@example.com>'
	run -6 --separate-stderr forge-session run -i other -P command -p x \
		--repo "$URL" -- true
	[[ $stderr == "forge-session: session '"*"' failed: '$URL' does not\
 accept identity 'other': give that host the line of 'forge-session identity\
 show other -q .public_key'" ]]
	run -3 --separate-stderr session one true --repo "$URL-not"
	[ "${#stderr_lines[@]}" = 1 ]
	[[ $stderr == *"does not appear to be a git repository"* ]]
	stop_background
	run -6 --separate-stderr session two true --repo "$URL"
	[ "${#stderr_lines[@]}" = 1 ]
	[[ $stderr == *"Connection refused"* ]]
}

@test "the key is with an agent" {
	ssh-keygen -q -t ed25519 -N '' -f key
	cp key.pub bot.pub
	sshd_start
	background agent.log ssh-agent -D -a "$PWD/agent"
	wait_until 60 test -S agent
	SSH_AUTH_SOCK=$PWD/agent ssh-add -q key
	rm key
	forge-session identity import held --author 'Bot <bot@example.com>' \
		--agent "$PWD/agent" --sign key.pub
	forge-session run --name one -i held -P command -p work --repo "$URL" \
		-- sh -c 'echo new >new' >out
	forge-session commit one
	forge-session push one
	printf 'bot@example.com %s\n' "$(cat key.pub)" >signers
	app -c gpg.ssh.allowedSignersFile="$PWD/signers" \
		verify-commit session/one
}

@test "signed commits are as git itself signs them" {
	forge-session identity create sig --sign \
		--author 'Sig <sig@example.com>' >sig.pub
	forge-session run --name one -i sig -P command -p work \
		--repo acme/app.git -- sh -c 'echo new >new' >out
	forge-session commit one -m 'a signed one'
	forge-session push one
	[ "$(app log -1 --format=%s session/one)" = "a signed one" ]
	printf 'sig@example.com %s\n' "$(cat sig.pub)" >signers
	run -0 app -c gpg.ssh.allowedSignersFile="$PWD/signers" \
		verify-commit session/one
	[[ $output == *'Good "git" signature for sig@example.com'* ]]
	app fsck --strict
}

@test "diff and diff --stat: all since the base, and git applies it" {
	session one 'echo new >new; git add new; git commit -qm new
		echo two >>file; printf "\0\1" >bin; echo x >x.log' \
		--repo acme/app.git
	run -0 --separate-stderr forge-session diff --stat one
	[ "$stderr" = "" ]
	[ "$(cut -d"|" -f1 <<<"$output" | sed "s, *$,,")" = " bin
 file
 new
 3 files changed, 2 insertions(+)" ]
	forge-session diff one >one.diff
	git -C seed apply ../one.diff
	[ "$(cat seed/file)" = "one
two" ]
	cmp <(printf '\0\1') seed/bin
	[ "$(cat seed/new)" = new ]
	[ ! -e seed/x.log ]
	session two true --repo acme/app.git
	run -0 forge-session diff two
	[ "$output" = "" ]
	run -3 --separate-stderr forge-session diff nosuch
}

@test "patch: git am takes it; what is in no commit is told of" {
	session one 'echo a >a; git add a; git commit -qm "add a"
		echo b >b; git add b; git commit -qm "add b" -m "More."
		echo c >c' --repo acme/app.git
	run -0 --separate-stderr forge-session patch one
	[ "$stderr" = "forge-session: warning: session 'one' has changes that\
 are in no commit: 'forge-session commit one'" ]
	forge-session patch --quiet one >p
	git -C seed am -q ../p
	[ "$(git -C seed log --format='%an %s%b' -2)" = "Bot add bMore.

Bot add a" ]
	[ ! -e seed/c ]
}

@test "revert: files and branch as before a turn, and undo is kept" {
	session one 'echo 1 >one' --repo acme/app.git
	forge-session commit one
	forge-session resume one -f -p again >out
	forge-session run --name two -i bot -P command -p x \
		--repo acme/app.git -- true >out
	work=$FORGE_STATE/session/one/work
	echo dirty >>"$work/file"
	git -C "$work" -c user.name=A -c user.email=a@b commit -qam 'by agent'
	echo more >"$work/untracked"
	run -3 --separate-stderr forge-session revert one --turn 7
	[ "$stderr" = "forge-session: session 'one' has no snapshot of turn 7" ]
	run -0 --separate-stderr forge-session revert one
	[ "$output$stderr" = "" ]
	[ "$(cat "$work/file")" = one ]
	[ ! -e "$work/untracked" ]
	[ -e "$work/one" ]
	[ "$(git -C "$work" log -1 --format=%s)" = "Do the work" ]
	[ "$(git -C "$work" status --short)" = "" ]
	[ "$(git -C "$work" show refs/forge/snapshots/one/undo:untracked)" = \
		more ]
	forge-session revert one -t 1
	[ ! -e "$work/one" ]
	[ "$(git -C "$work" log -1 --format=%s)" = first ]
	run -2 forge-session revert one -t -1
}

@test "push: another's commits are never overwritten, our own are" {
	session one 'echo 1 >one' --repo acme/app.git
	forge-session commit one
	forge-session push one
	# ours, reverted and done otherwise
	forge-session revert one
	echo 2 >"$FORGE_STATE/session/one/work/other"
	forge-session commit one -m otherwise
	forge-session push one
	[ "$(app log -1 --format=%s session/one)" = otherwise ]
	# somebody else's on top
	git -C seed fetch -q app
	git -C seed checkout -q -b x app/session/one
	git -C seed commit -q --allow-empty -m theirs
	git -C seed push -q app x:session/one
	echo 3 >"$FORGE_STATE/session/one/work/third"
	forge-session commit one -m third
	run -4 --separate-stderr forge-session push one
	[ "$output" = "" ]
	[ "${#stderr_lines[@]}" = 1 ]
	[[ $stderr == "forge-session: git at '"*"[rejected]"* ]]
	[ "$(app log -1 --format=%s session/one)" = theirs ]
}

@test "push: a hook of the host that refuses is told" {
	printf '#!/bin/sh\necho no pushing today >&2\nexit 1\n' \
		>acme/app.git/hooks/pre-receive
	chmod +x acme/app.git/hooks/pre-receive
	session one 'echo 1 >one' --repo acme/app.git
	forge-session commit one
	run -4 --separate-stderr forge-session push one
	[ "${#stderr_lines[@]}" = 1 ]
	[[ $stderr == *"remote rejected"* ]]
}

@test "an empty repository gets its first branch" {
	git init -q --bare acme/empty.git
	session one 'echo 1 >one' --repo acme/empty.git --branch main
	forge-session diff --stat one
	forge-session commit one
	run -0 forge-session push one -q .pushed
	[ "$output" = true ]
	[ "$(git --git-dir=acme/empty.git show main:one)" = 1 ]
}

@test "two sessions on one repository at once, then fifty" {
	local i pids=()
	session a 'echo a >a; git add a; git commit -qm a; sleep 0.5' \
		--repo acme/app.git &
	session b 'echo b >b; git add b; git commit -qm b; sleep 0.5' \
		--repo acme/app.git &
	wait
	forge-session push a
	forge-session push b
	[ "$(app log -1 --format=%s session/a)" = a ]
	[ "$(app log -1 --format=%s session/b)" = b ]
	for ((i = 0; i < 50; i++)); do
		session "s$i" "echo $i >f; git add f; git commit -qm $i" \
			--repo acme/app.git 2>>errors &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i"
	done
	[ ! -s errors ]
	[ "$(git --git-dir="$(echo "$FORGE_STATE"/repo/*.git)" for-each-ref \
		--format '%(refname)' refs/heads/session | wc -l)" = 52 ]
	[ "$(find "$FORGE_STATE/repo" -name '*.lock')" = "" ]
}

@test "in the middle of a turn nothing is changed" {
	id=$(forge-session start -P command -i bot -p x --repo acme/app.git \
		-- sh -c 'read -r x; echo ready; sleep 600')
	wait_until 60 running "$id"
	run -4 --separate-stderr forge-session commit "$id"
	[ "$stderr" = "forge-session: session '$id' is running:\
 'forge-session interrupt $id' ends its turn" ]
	run -4 forge-session revert "$id"
	run -4 forge-session push "$id"
	run -0 forge-session diff "$id"
	forge-session stop "$id"
}

running()
{
	[ "$(forge-session show "$1" -q .state)" = running ]
}
