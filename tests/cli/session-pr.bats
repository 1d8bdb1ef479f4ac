#!/usr/bin/env bats
# forge-session pr and --on-done: at GitHub (its own description, by Prism),
# Gitea and GitLab.

# Tests are subshells, and run sets stderr.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load lib

setup()
{
	common_setup
	export FORGE_CONFIG=$PWD/config GIT_CONFIG_NOSYSTEM=1
	: >config
	git config --global user.name Owner
	git config --global user.email owner@example.com
	git config --global init.defaultBranch main
	forge-session identity create bot --author 'Bot <bot@example.com>' \
		>bot.pub
	forge-session identity token bot <<<gh_secret_token
	git init -q seed
	git -C seed commit -q --allow-empty -m first
	mkdir acme
	git clone -q --bare seed acme/app.git
}

teardown() { common_teardown; }

# session ID SCRIPT [OPTION...]
session()
{
	local id=$1 script=$2
	shift 2
	forge-session run --name "$id" -i bot -P command \
		-p 'Add a file' --repo acme/app.git "$@" -- \
		sh -c "read -r x; $script" >>"$id.events"
}

# moved_to URL: the sessions' repository has this address now; only the API
# is asked for it, so no ssh is needed
moved_to()
{
	sqlite3 "$FORGE_STATE/forge.db" "UPDATE worktree SET repo = '$1'"
}

# host_start KIND [API-PATH]
host_start()
{
	background host.log "$ROOT/tests/fake/githost" "$PWD/port" "$PWD" \
		gh_secret_token
	wait_until 60 test -e port
	printf '[git "git.example"]\n\tkind = %s\n\tapi = %s%s\n' "$1" \
		"http://127.0.0.1:$(cat port)" "${2:-}" >config
}

pushed()
{
	session one 'echo 1 >a; git add a; git commit -qm "add a"
		echo 2 >b; git add b; git commit -qm "add b"'
	forge-session push one
	moved_to 'git@git.example:acme/app.git'
}

@test "--dry-run prints the request, and nothing is sent" {
	pushed
	printf '[git "git.example"]\n\tkind = github\n' >config
	run -0 --separate-stderr forge-session pr one -n --json
	[ "$stderr" = "" ]
	[ "$(jq -S . <<<"$output")" = "$(jq -nS '{method: "POST",
		url: "https://git.example/api/v3/repos/acme/app/pulls",
		body: {title: "Add a file", head: "session/one", base: "main",
			body: "* add a\n* add b\n"}}')" ]
	run -0 forge-session pr one -n --title T --body B --base dev \
		-q '[.body.title, .body.body, .body.base]'
	[ "$output" = '["T","B","dev"]' ]
	moved_to 'https://github.com/acme/app'
	run -0 forge-session pr one -n -q .url
	[ "$output" = https://api.github.com/repos/acme/app/pulls ]
	moved_to 'ssh://git@gitlab.com:22/acme/sub/app.git'
	run -0 forge-session pr one -n -q '[.url, .body.source_branch]'
	[ "$output" = '["https://gitlab.com/api/v4/projects/acme%2Fsub%2Fapp/merge_requests","session/one"]' ]
	moved_to 'git@codeberg.org:acme/app'
	run -0 forge-session pr one -n -q .url
	[ "$output" = https://codeberg.org/api/v1/repos/acme/app/pulls ]
}

@test "what is missing is said: nothing pushed, no host, no token" {
	session one 'echo 1 >a'
	run -4 --separate-stderr forge-session pr one
	[ "$stderr" = "forge-session: session 'one' has pushed nothing:\
 'forge-session push one' first" ]
	forge-session commit one
	forge-session push one
	run -2 --separate-stderr forge-session pr one
	[ "${stderr_lines[0]}" = "forge-session: '$PWD/acme/app.git' is a\
 path: pull requests are made at a git host" ]
	moved_to 'git@git.example:acme/app.git'
	run -2 --separate-stderr forge-session pr one
	[[ ${stderr_lines[0]} == \
		"forge-session: what is 'git.example'? [git \"git.example\"]"* ]]
	host_start github
	forge-session identity token bot </dev/null
	run -6 --separate-stderr forge-session pr one
	[[ $stderr == "forge-session: no token for 'git.example':"* ]]
	[ ! -e requests.ndjson ]
	echo wrong >token
	printf '\ttoken-file = %s\n' "$PWD/token" >>config
	run -6 --separate-stderr forge-session pr one
	[ "$stderr" = \
		"forge-session: 'git.example' answers 401: Bad credentials" ]
	echo gh_secret_token >token
	forge-session pr one
}

# opens KIND PATH HEAD-KEY: opened once, then found
opens()
{
	pushed
	run -0 --separate-stderr forge-session pr one -q '[.url, .new]'
	[ "$output" = '["https://host.example/pulls/1",true]' ]
	[ "$stderr" = "" ]
	run -0 forge-session pr one -q '[.url, .new]'
	[ "$output" = '["https://host.example/pulls/1",false]' ]
	[ "$(jq -r 'select(.method == "POST") | .kind' requests.ndjson |
		sort -u)" = "$1" ]
	[ "$(jq -r '.path' requests.ndjson | head -n 1)" = "$2" ]
	[ "$(jq -r ".body.$3" requests.ndjson | head -n 1)" = session/one ]
	run -0 forge-watch events -q 'select(.kind == "session.proposed") |
		.data.url'
	[ "${lines[0]}" = https://host.example/pulls/1 ]
	run -1 grep -r gh_secret_token "$FORGE_STATE"
}

@test "GitHub: opened, and found when it is open already" {
	host_start github
	opens github /repos/acme/app/pulls head
}

@test "Gitea: opened, and found when it is open already" {
	host_start gitea /api/v1
	opens gitea /api/v1/repos/acme/app/pulls head
}

@test "GitLab: opened, and found when it is open already" {
	host_start gitlab /api/v4
	opens gitlab /api/v4/projects/acme%2Fapp/merge_requests source_branch
}

@test "a refusal is told in the host's words, made harmless" {
	host_start github
	session one 'echo 1 >a; git add a; git commit -qm "add a"'
	forge-session push one --branch refused
	moved_to 'git@git.example:acme/app.git'
	run -1 --separate-stderr forge-session pr one
	[ "$output" = "" ]
	[ "$stderr" = "forge-session: 'git.example' answers 422: Validation\
 Failed: No commits?[31m between" ]
}

@test "GitHub's own description of it accepts the request" {
	command -v npm >/dev/null || skip "npm is not installed"
	pushed
	port=$(HOME=$LIB_HOME "$ROOT/tests/peer/prism.sh" mock "$PWD/prism" \
		'^/repos/[^/]+/[^/]+/pulls$' 3>&- 4>&-)
	printf '[git "git.example"]\n\tkind = github\n\tapi = %s\n' \
		"http://127.0.0.1:$port" >config
	run -0 --separate-stderr forge-session pr one -q '[.url, .new]'
	[ "$output" = \
		'["https://github.com/octocat/Hello-World/pull/1347",true]' ]
	[ "$stderr" = "" ]
	run -1 grep -i 'violation: request' prism/prism.log
}

@test "--on-done commit,push: done when it has completed, and only then" {
	run -2 --separate-stderr session bad true --on-done push,fly
	[ "${stderr_lines[0]}" = "forge-session: --on-done 'push,fly': commit,\
 push and pr are known" ]
	session one 'echo 1 >a' --on-done push
	[ "$(git --git-dir=acme/app.git log -1 --format=%s session/one)" = \
		"Add a file" ]
	run -1 session two 'echo 1 >a; exit 1' --on-done push
	run -128 git --git-dir=acme/app.git rev-parse session/two
	# what fails is an event, not the session's outcome
	run -0 --separate-stderr session three 'echo 1 >a' --on-done push,pr
	run -0 forge-watch events -q 'select(.kind == "session.undone") |
		[.subject, .data.reason]'
	[ "$output" = "$(jq -nc --arg p "$PWD/acme/app.git" '["three",
		"\u0027\($p)\u0027 is a path: pull requests are made at a git host"]')" ]
	git --git-dir=acme/app.git rev-parse session/three
}
