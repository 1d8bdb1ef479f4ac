#!/usr/bin/env bats
# The place bwrap: what a job there sees, and that it is gone afterwards.

load lib

setup_file() {
	common_setup
	github_start
}
teardown_file() {
	stop_background
}

setup() {
	common_setup
	mkdir -m 700 "$FORGE_STATE"
	export FORGE_CONFIG=/dev/null
	echo "$GITHUB_PAT" >token
	REPO=acme/b$BATS_TEST_NUMBER
	# Where a nobody can read the stand-in, wherever the tests are.
	mkdir listener
	cp "$ROOT/tests/fake/runner-listener" listener/
	chmod -R a+rX "$BATS_RUN_TMPDIR" 2>/dev/null || true
	SHOWN=$(mktemp -d /opt/forge-bwrap.XXXXXX)
	cp listener/runner-listener "$SHOWN/"
	chmod 755 "$SHOWN"
	cat >"$FORGE_STATE/config" <<-CONF
	[github "fake"]
		api = $GITHUB_URL
		token-file = $PWD/token
	[pool "light"]
		scope = repo:$REPO
		labels = linux
		place = bwrap
		runner-command = $SHOWN/runner-listener run
	CONF
}
teardown() {
	forge-runner list -q .name | xargs -r forge-runner stop --now
	rm -rf "$SHOWN"
	common_teardown
}

result() { forge-runner list --all -q .result; }

@test "bwrap: a job runs, and its files are gone" {
	id=$(github_job linux 'echo kept >/tmp/forge-bwrap-file; cat /tmp/forge-bwrap-file' build "$REPO")
	run -0 --separate-stderr forge-runner run --pool light
	[ "$(result)" = succeeded ]
	[ "$(fake GET "/logs/$id" | tail -n 1)" = kept ]
	[ ! -e /tmp/forge-bwrap-file ]
	github_job linux 'exit 3' build "$REPO" >/dev/null
	run -1 forge-runner run --pool light
}

@test "bwrap: no privilege, no file of ours, no process, no environment" {
	id=$(github_job linux '
		echo "uid $(id -u)"
		echo "write $(touch /etc/forge-was-here 2>/dev/null; echo $?)"
		echo "token $(cat '"$PWD/token"' 2>/dev/null)"
		echo "state $(ls '"$FORGE_STATE"' 2>/dev/null | wc -l)"
		echo "processes $(ls -d /proc/[0-9]* | wc -l)"
		echo "environment ${FORGE_STATE-}"
		echo "devices $(ls /dev/kvm /dev/mem /dev/vda 2>/dev/null)"
		' build "$REPO")
	chmod 600 token
	run -0 forge-runner run --pool light
	fake GET "/logs/$id" >log
	grep -qx 'uid 65534' log || [ "$(id -u)" != 0 ]
	grep -qx 'write 1' log
	grep -qx 'token ' log
	grep -qx 'state 0' log
	[ "$(sed -n 's/^processes //p' log)" -lt 15 ]
	grep -qx 'environment ' log
	grep -qx 'devices ' log
}

@test "bwrap: kill -9 of the runner leaves no process" {
	github_job linux 'exec sleep 4711' build "$REPO" >/dev/null
	name=$(forge-runner start --pool light)
	sleeping() { pgrep -f '^sleep 4711$' >/dev/null; }
	wait_until 60 sleeping
	kill -9 "$(pgrep -f "forge-runner run --state=$FORGE_STATE ")"
	gone() { ! sleeping; }
	wait_until 60 gone
	forge-runner sync >/dev/null
	[ "$(forge-runner show "$name" -q .state)" = done ]
}
