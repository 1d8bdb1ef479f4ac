#!/usr/bin/env bats
# forge-session gc and rm: nothing is lost that nobody else has.

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
	git init -q src
	echo one >src/file
	git -C src add .
	git -C src commit -qm first
	git clone -q --bare src app.git
}

teardown() { common_teardown; }

# session ID SCRIPT [OPTION...]
session()
{
	local id=$1 script=$2
	shift 2
	forge-session run --name "$id" -P command -p go "$@" -- \
		sh -c "read -r x; $script" >>"$id.events"
}

clone()
{
	echo "$FORGE_STATE"/repo/*.git
}

# nothing_left ID: no file, ref or row of its worktree
nothing_left()
{
	[ ! -e "$FORGE_STATE/session/$1/work" ]
	[ ! -e "$FORGE_STATE/session/$1/door" ]
	[ "$(git --git-dir="$(clone)" for-each-ref --format '%(refname)' \
		"refs/heads/session/$1" "refs/forge/snapshots/$1")" = "" ]
	[ "$(git --git-dir="$(clone)" worktree list | grep -c "/$1/work")" = 0 ]
	[ "$(sqlite3 "$FORGE_STATE/forge.db" "SELECT count(*) FROM worktree
		WHERE session = '$1'")" = 0 ]
}

@test "gc: what is clean and pushed goes; dirty and unpushed stay" {
	session clean true --repo app.git
	session pushed 'echo 1 >p' --repo app.git
	forge-session commit pushed
	forge-session push pushed
	session dirty 'echo 2 >d' --repo app.git
	session unpushed 'echo 3 >u' --repo app.git
	forge-session commit unpushed
	run -0 forge-session gc -n -q '[.session, .removed, .why, .bundle]'
	want='["clean",true,null,null]
["dirty",false,"it has changes that are in no commit",null]
["pushed",true,null,null]
["unpushed",false,"it has commits that were not pushed",null]'
	[ "$output" = "$want" ]
	[ -e "$FORGE_STATE/session/clean/work/file" ]
	run -0 forge-session gc -q '[.session, .removed, .why, .bundle]'
	[ "$output" = "$want" ]
	nothing_left clean
	nothing_left pushed
	[ "$(cat "$FORGE_STATE/session/dirty/work/d")" = 2 ]
	[ "$(cat "$FORGE_STATE/session/unpushed/work/u")" = 3 ]
	# twice is no more than once
	run -0 forge-session gc -q .session
	[ "$output" = "dirty
unpushed" ]
	run -3 --separate-stderr forge-session diff clean
	[ "$stderr" = "forge-session: session 'clean' has no worktree: it was\
 not begun, or gc has removed it" ]
}

@test "gc --bundle: files and commits are in a bundle that git fetches" {
	session one 'echo 1 >a; git add a; git commit -qm "a commit"
		echo 2 >b' --repo app.git
	run -0 forge-session gc --bundle one -q '[.removed, .bundle]'
	bundle=$(jq -r '.[1]' <<<"$output")
	[ "$output" = "[true,\"$bundle\"]" ]
	[[ $bundle == "$FORGE_STATE/bundle/one-"*.bundle ]]
	nothing_left one
	git -C src fetch -q "$bundle" \
		refs/heads/session/one:back refs/forge/snapshots/one/gc:files
	[ "$(git -C src log -1 --format=%s back)" = "a commit" ]
	[ "$(git -C src show files:b)" = 2 ]
	[ "$(git -C src show files:a)" = 1 ]
}

@test "gc: a session that lives is left alone" {
	id=$(forge-session start -P command -p x --repo app.git -- \
		sh -c 'read -r x; echo ready; sleep 600')
	wait_until 60 running "$id"
	run -0 forge-session gc --bundle --json
	[ "$output" = "" ]
	[ -e "$FORGE_STATE/session/$id/work/file" ]
	forge-session stop "$id"
	run -0 forge-session gc -q .removed
	[ "$output" = true ]
}

running()
{
	[ "$(forge-session show "$1" -q .state)" = running ]
}

@test "rm: refused while there is work that nobody else has" {
	session one 'echo 1 >a' --repo app.git
	run -4 --separate-stderr forge-session rm one
	[ "$stderr" = "forge-session: session 'one' stays: it has changes that\
 are in no commit; 'forge-session push one', or 'forge-session gc --bundle\
 one' to keep them in a file" ]
	[ "$(cat "$FORGE_STATE/session/one/work/a")" = 1 ]
	forge-session gc --bundle one
	forge-session rm one
	[ "$(ls "$FORGE_STATE/session")" = "" ]
	session two true --repo app.git
	forge-session rm two
	nothing_left two
	[ "$(ls "$FORGE_STATE/session")" = "" ]
}

@test "gc: the user's own checkout stays as it is" {
	session one 'echo 1 >a' --repo src --local
	[ "$(git -C src for-each-ref --format '%(refname)')" = \
		"refs/forge/snapshots/one/1
refs/heads/main" ]
	run -0 forge-session gc -q .removed
	[ "$output" = true ]
	[ "$(cat src/a)" = 1 ]
	[ "$(git -C src for-each-ref --format '%(refname)')" = refs/heads/main ]
	[ ! -e "$FORGE_STATE/session/one/door" ]
}

@test "gc: one that was killed in it goes on" {
	session one true --repo app.git
	sqlite3 "$FORGE_STATE/forge.db" \
		"UPDATE worktree SET state = 'removing'"
	rm -r "$FORGE_STATE/session/one/work"
	run -0 forge-session gc -q .removed
	[ "$output" = true ]
	nothing_left one
}
