#!/usr/bin/env bats
# forge-session with --repo: clones, worktrees, snapshots, and repositories
# that mean harm.

# Tests are subshells, and run sets stderr.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load lib

setup()
{
	common_setup
	export FORGE_CONFIG=/dev/null
	export GIT_CONFIG_NOSYSTEM=1
	git config --global user.name Owner
	git config --global user.email owner@example.com
	git config --global init.defaultBranch main
	forge-session identity create bot --author 'Bot <bot@example.com>' \
		>bot.pub
}

teardown() { common_teardown; }

# source_repo DIR: a repository with one commit
source_repo()
{
	git init -q "$1"
	mkdir "$1/dir"
	echo one >"$1/file"
	echo two >"$1/dir/file"
	printf '*.log\n' >"$1/.gitignore"
	git -C "$1" add .
	git -C "$1" commit -qm first
}

# session ID SCRIPT [OPTION...]: an agent that is a shell
session()
{
	local id=$1 script=$2
	shift 2
	forge-session run --name "$id" -i bot -P command -p go "$@" -- \
		sh -c "read -r x; $script"
}

# said ID: what the agent printed
said()
{
	forge-session log "$1" -q 'select(.kind == "output") | .data.text'
}

# clone: the git directory that sessions share
clone()
{
	echo "$FORGE_STATE"/repo/*.git
}

@test "a worktree on a branch of its own; the author is the identity" {
	source_repo src
	session one 'cat file dir/file; git status --short --branch
		git log --format=%s; echo new >new; git add new
		git commit -qm "add new"; git log -1 --format="%an <%ae>|%cn"' \
		--repo src >events
	run -0 said one
	[ "$output" = "one
two
## session/one
first
Bot <bot@example.com>|Bot" ]
	work=$FORGE_STATE/session/one/work
	[ "$(git -C "$work" rev-parse --abbrev-ref HEAD)" = session/one ]
	[ "$(git -C "$work" log --format=%s)" = "add new
first" ]
	run -0 git -C src for-each-ref --format '%(refname)'
	[ "$output" = refs/heads/main ]
	run -0 forge-session show one -q '[.repo, .branch, .identity]'
	[ "$output" = "$(jq -nc --arg r "$PWD/src" \
		'[$r, "session/one", "bot"]')" ]
	run -0 forge-watch events -q \
		'select(.kind | startswith("repo.")) | .kind'
	[ "$output" = "repo.fetched
repo.checkedout" ]
}

@test "one clone for all; new commits are there, the sessions' own stay" {
	source_repo src
	session one 'echo 1 >mine; git add mine; git commit -qm mine' \
		--repo src
	echo more >>src/file
	git -C src commit -qam second
	git -C src branch other
	session two 'git log --format=%s; git branch -r' --repo src
	run -0 said two
	[ "$output" = "second
first
  origin/HEAD -> origin/main
  origin/main
  origin/other" ]
	[ "$(find "$FORGE_STATE/repo" -name '*.git' | wc -l)" = 1 ]
	git -C src branch -D other
	session three 'git branch -r' --repo src
	run -0 said three
	[ "$output" = "  origin/HEAD -> origin/main
  origin/main" ]
	[ "$(git --git-dir="$(clone)" log -1 --format=%s session/one)" = mine ]
}

@test "--base, --branch, and a branch that is there already" {
	source_repo src
	git -C src checkout -q -b feature
	git -C src commit -q --allow-empty -m 'on feature'
	git -C src checkout -q main
	session a 'git log -1 --format=%s' --repo src --base feature
	[ "$(said a)" = "on feature" ]
	session b 'git log -1 --format=%s; git rev-parse --abbrev-ref HEAD' \
		--repo src --branch feature
	[ "$(said b)" = "on feature
feature" ]
	session c 'git log -1 --format=%s' --repo 'src#feature' --branch mine
	[ "$(said c)" = "on feature" ]
	run -4 --separate-stderr session d true --repo src --branch mine
	[ "${stderr_lines[0]}" = "forge-session: session 'd' failed: branch\
 'mine' of '$PWD/src' is another session's: choose one (--branch)" ]
	run -3 --separate-stderr session e true --repo src --base nowhere
	[ "${stderr_lines[0]}" = "forge-session: session 'e' failed:\
 '$PWD/src' has no branch 'nowhere'" ]
}

@test "addresses that are none" {
	local url
	for url in 'ext::sh -c touch% hacked' 'git://host/x' '-oProxy=x' \
		'ssh://-oProxyCommand=touch/x' 'http://example.com/x' \
		'https://me:secret@host/x' 'git@ho;st:x' 'fd::17' 'user@host:'; do
		run -2 --separate-stderr session a true --repo "$url"
		[ "$output" = "" ]
		[[ ${stderr_lines[0]} == "forge-session: repository '$url': "* ]]
	done
	run -3 --separate-stderr session a true --repo nowhere
	[ "${stderr_lines[0]}" = "forge-session: repository 'nowhere':\
 No such file or directory" ]
	run -2 session a true --repo . --branch 'a..b'
	run -2 session a true --repo . --branch '-x'
	run -2 session a..b true --repo .
	run -3 session a true --repo . -i nobody
	[ "$(forge-session list --all -q .id)" = "" ]
}

@test "several repositories in one session" {
	source_repo src
	mkdir other
	source_repo other/src
	echo changed >other/src/file
	git -C other/src commit -qam second
	session m 'pwd; ls; cat src/file src-2/file' --repo src \
		--repo other/src
	[ "$(said m)" = "$FORGE_STATE/session/m/work
src
src-2
one
changed" ]
	[ "$(find "$FORGE_STATE/repo" -name '*.git' | wc -l)" = 2 ]
}

@test "an empty repository" {
	git init -q --bare empty.git
	session e 'git status --short --branch; echo 1 >file; git add .
		git commit -qm first; git log --format=%s' --repo empty.git
	[ "$(said e)" = "## No commits yet on session/e
first" ]
}

@test "--local: the user's own checkout, on its own branch" {
	source_repo src
	run -2 session a true --repo src --local --branch x
	git init -q --bare bare.git
	run -2 session b true --repo bare.git --local
	session c 'pwd; git rev-parse --abbrev-ref HEAD; echo x >>file' \
		--repo src/dir --local
	[ "$(said c)" = "$PWD/src
main" ]
	[ "$(git -C src status --short)" = " M file" ]
	[ ! -e "$FORGE_STATE/repo" ]
	# the snapshot is in the user's repository, and on no branch
	git -C src cat-file -e refs/forge/snapshots/c/1
	[ "$(git -C src branch --list --format '%(refname)')" = \
		refs/heads/main ]
}

@test "a snapshot before each turn: all files but ignored ones, no branch" {
	source_repo src
	session one 'echo 1 >new; echo 2 >x.log; echo 3 >>file' --repo src
	forge-session resume one -f -p again >out
	git --git-dir="$(clone)" show refs/forge/snapshots/one/2:new
	[ "$(git --git-dir="$(clone)" show refs/forge/snapshots/one/2:file)" = \
		"one
3" ]
	run -128 git --git-dir="$(clone)" show refs/forge/snapshots/one/2:x.log
	run -128 git --git-dir="$(clone)" show refs/forge/snapshots/one/1:new
	[ "$(git --git-dir="$(clone)" log --format=%s session/one)" = first ]
	[ "$(forge-session log one -q \
		'select(.kind == "snapshot") | .data.turn')" = "1
2" ]
	# and what the agent had staged is as it was
	[ "$(git -C "$FORGE_STATE/session/one/work" status --short)" = \
		" M file
?? new" ]
}

# harm FILE...: an executable that says that it ran
harm()
{
	local f
	for f in "$@"; do
		mkdir -p "$(dirname "$f")"
		printf '#!/bin/sh\ntouch %s/hacked\nexit 0\n' "$PWD" >"$f"
		chmod +x "$f"
	done
}

@test "hostile: hooks, filters, fsmonitor and ssh of a source are not run" {
	local hook
	source_repo src
	harm "$PWD/evil"
	for hook in pre-commit post-checkout post-commit reference-transaction \
		pre-push post-index-change update pre-receive post-update; do
		cp evil "src/.git/hooks/$hook"
	done
	printf '* filter=evil diff=evil\n' >src/.gitattributes
	git -C src -c core.hooksPath=/dev/null add .
	git -C src -c core.hooksPath=/dev/null commit -qm attributes
	git -C src config filter.evil.clean "$PWD/evil"
	git -C src config filter.evil.smudge "$PWD/evil"
	git -C src config filter.evil.process "$PWD/evil"
	git -C src config diff.evil.textconv "$PWD/evil"
	git -C src config core.fsmonitor "$PWD/evil"
	git -C src config core.sshCommand "$PWD/evil"
	git -C src config core.pager "$PWD/evil"
	git -C src config uploadpack.packObjectsHook "$PWD/evil"
	rm -f hacked
	session one 'echo x >>file' --repo src
	session two 'echo y >>file' --repo src --local
	[ "$(tail -n 1 src/file)" = y ]
	[ "$(git -c core.fsmonitor=false --git-dir="$(clone)" show \
		refs/forge/snapshots/one/1:file)" = one ]
	[ ! -e hacked ]
}

@test "hostile: what an agent puts into the clone is not run by us" {
	source_repo src
	harm "$PWD/evil"
	session one "cp $PWD/evil \$(git rev-parse --git-common-dir)/hooks 2>/dev/null
		mkdir -p \$(git rev-parse --git-common-dir)/hooks
		for h in reference-transaction post-checkout pre-push pre-commit; do
			cp $PWD/evil \$(git rev-parse --git-common-dir)/hooks/\$h
		done
		git config core.hooksPath \$(git rev-parse --git-common-dir)/hooks
		git config filter.e.clean $PWD/evil
		git config filter.e.smudge $PWD/evil
		git config core.alternateRefsCommand $PWD/evil
		git config core.sshCommand $PWD/evil
		git config remote.origin.uploadpack $PWD/evil
		git config url.ext::$PWD/evil.insteadOf $PWD/src
		git config include.path $PWD/fifo
		echo '* filter=e' >.gitattributes
		git config core.fsmonitor $PWD/evil" --repo src
	rm -f hacked
	echo more >>src/file
	git -C src commit -qam more
	session two 'cat file' --repo src
	[ "$(said two)" = "one
more" ]
	forge-session resume one -f -p again >out
	[ ! -e hacked ]
}

@test "hostile: submodules are never fetched" {
	source_repo src
	harm "$PWD/evil"
	printf '[submodule "x"]\n\tpath = x\n\turl = ext::%s\n\tupdate = !%s\n' \
		"$PWD/evil" "$PWD/evil" >src/.gitmodules
	git -C src add .gitmodules
	git -C src update-index --add --cacheinfo \
		"160000,$(git -C src rev-parse HEAD),x"
	git -C src commit -qm sub
	run -1 --separate-stderr session one 'ls -a' --repo src
	[[ ${stderr_lines[0]} == *gitmodulesUpdate* ]]
	printf '[submodule "x"]\n\tpath = x\n\turl = ext::%s\n' \
		"$PWD/evil" >src/.gitmodules
	git -C src commit -qam sub --amend
	session two 'ls x | wc -l; git status --short' --repo src
	[ "$(said two)" = 0 ]
	[ ! -e hacked ]
}

@test "hostile: a tree with .git in it is refused" {
	local tree blob commit
	source_repo src
	harm "$PWD/evil"
	blob=$(printf /tmp | git -C src hash-object -w --stdin)
	tree=$(printf '120000 blob %s\t.git\n' "$blob" |
		git -C src mktree)
	commit=$(git -C src commit-tree -m evil "$tree")
	git -C src update-ref refs/heads/main "$commit"
	run -1 --separate-stderr session one 'ls -la' --repo src
	[ "${#stderr_lines[@]}" = 1 ]
	[[ $stderr == "forge-session: session 'one' failed: git at '$PWD/src': object "*".git"* ]]
	[ "$(forge-session show one -q .state)" = failed ]
}

@test "hostile: a path through a symbolic link stays inside" {
	source_repo src
	mkdir outside
	session one "ln -sfn $PWD/outside link; mkdir d; echo 1 >d/f" --repo src
	session two "cat file" --repo src
	[ "$(git --git-dir="$(clone)" rev-parse \
		'refs/forge/snapshots/one/1^{tree}')" = \
		"$(git -C src rev-parse 'HEAD^{tree}')" ]
	forge-session resume one -f -p again >out
	run -0 git --git-dir="$(clone)" ls-tree refs/forge/snapshots/one/2 link
	[[ $output == 120000* ]]
	[ "$(ls outside)" = "" ]
}

@test "huge refs: ten thousand branches, and names as long as they get" {
	local head long
	source_repo src
	head=$(git -C src rev-parse HEAD)
	long=$(printf 'x%.0s' {1..200})
	{
		seq -f "create refs/heads/b/%.0f $head" 10000
		echo "create refs/heads/$long/$long $head"
	} | git -C src update-ref --stdin
	git -C src pack-refs --all
	session one 'git branch -r | wc -l' --repo src
	[ "$(said one)" = 10003 ]
	session two 'git branch -r | wc -l' --repo src
	[ "$(said two)" = 10003 ]
}

@test "stop: a session whose repository does not answer is over at once" {
	background silent python3 -c 'import socket, time
s = socket.create_server(("127.0.0.1", 0))
open("port", "w").write(str(s.getsockname()[1]))
time.sleep(300)'
	wait_until 60 test -s port
	forge-session start --name x -P command -p hi \
		--repo "http://127.0.0.1:$(cat port)/a.git" -- cat
	git_runs() { pgrep -f "git-remote-http.*:$(cat port)/"; }
	wait_until 60 git_runs
	start=$SECONDS
	run -0 --separate-stderr forge-session stop x
	[ "$output$stderr" = "" ]
	[ $((SECONDS - start)) -lt 40 ]
	run -0 forge-session show x -q '.state, .status, .reason'
	[ "$output" = $'stopped\n143\nstopped' ]
	wait_until 60 eval '! git_runs'
	# What it was told is no wish of the next.
	run -0 --separate-stderr bash -c "timeout 2 forge-session resume \
		--foreground x; [ \$? = 124 ]"
	forge-session stop x
}
