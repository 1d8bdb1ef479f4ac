#!/usr/bin/env bats
# mints.bats: runners registered by many processes at once keep, together, to
# GitHub's 180 a minute, and none is lost for it.
#
# MINTS is how many (16, with the minute's first ones used up already; 200 of
# a whole minute with SOAK=1).

load ../cli/lib

# From before the environment is scrubbed.
export LIB_MINTS=${MINTS:-${LIB_MINTS:-${SOAK:+200}}}

setup() {
	common_setup
	mkdir -m 700 "$FORGE_STATE"
	export FORGE_CONFIG=/dev/null
	n=${LIB_MINTS:-16}
	github_start --mints-a-minute 180
	echo ghp_fake >token
	cat >"$FORGE_STATE/config" <<CONF
[github "fake"]
	api = $GITHUB_URL
	token-file = $PWD/token
	pace = true
[watch]
	poll = 0
	redeliver = 0
[pool "many"]
	scope = repo:acme/app
	labels = linux
	place = here
	min-idle = $n
	max = $n
	idle-timeout = 1h
	register-timeout = 1h
	runner-command = sleep 3600
CONF
}

# Orderly, each would ask GitHub, a second after the one before.
teardown() {
	common_teardown
	pgrep -f "forge-runner run .*$FORGE_STATE" | xargs -r kill -9
}

registered() {
	[ "$(forge-runner list -q 'select(.state == "idle") | .name' |
		wc -l)" = "$1" ]
}

@test "mints: of many at once none is lost, and no minute has more than 180" {
	local now burst=60
	forge-runner list
	now=$(date +%s%3N)
	# The burst is used up: as after 60 that came just now.
	if [ "$n" -lt 60 ]; then
		burst=0
		mkdir "$FORGE_STATE/run/rate"
		echo "{\"mint_at\":$((now + 60 * 500))}" \
			>"$FORGE_STATE/run/rate/g-fake"
	fi
	background watch.log forge-watch run
	wait_until $((n + 60)) registered "$n"
	[ "$(forge-runner list --all -q .name | wc -l)" = "$n" ]
	fake GET /state >state.json
	[ "$(jq '.runners | length' state.json)" = "$n" ]
	[ "$(jq .refused_mints state.json)" = 0 ]
	# Each in its turn, half a second after the one before.
	jq -r '.runners[].created | sub("\\.[0-9]+"; "") | fromdate' \
		state.json | sort -n >stamps
	awk -v from="$((now / 1000))" -v burst="$burst" '
		$1 + 1 < from + (NR - burst) / 2 { print NR, $1; bad = 1 }
		END { exit bad }' stamps
	echo "# $n mints in $(($(tail -n 1 stamps) - $(head -n 1 stamps))) s" >&3
}
