#!/usr/bin/env bats
# A coordinator and two hosts of agents, each with a network and a state of its
# own: jobs in microVMs of another host, and what becomes of them when the
# network between is cut.

# shellcheck disable=SC2030,SC2031

load lib
load images
load hosts

# From before the environment is scrubbed: for how many seconds it is cut; by
# default not for as long as it takes both ends to see it, but as if.
export LIB_CUT=${CUT:-${LIB_CUT:-}}

setup_file() {
	[ "$(id -u)" = 0 ] || skip 'needs root'
	common_setup
	hosts_start --offline-after 1 --lost-after 600
}
teardown_file() {
	hosts_end
}
setup() { hosts_setup; }
teardown() { :; }

completed() { # JOB
	[ "$(fake GET "/jobs/$1/wait?timeout=1" | jq -r .status)" = completed ]
}
conclusion() { fake GET "/jobs/$1/wait?timeout=1" | jq -r .conclusion; }
settled() {
	bare hub && bare east && bare west &&
		[ "$(gh GET /repos/acme/app/actions/runners | jq .total_count)" = 0 ]
}
in_log() { fake GET "/logs/$1" | grep -q "$2"; }
result() { # JOB
	on hub forge-runner list --all -q "select(.job == $1) | .result"
}

# lands HOST JOB: it ran there, in a guest, once, and nothing is left
lands() {
	wait_until $((${LIB_CUT:-0} + 120)) completed "$2"
	[ "$(conclusion "$2")" = success ]
	wait_until 120 settled
	runner=$(on hub forge-runner list --all -q "select(.job == $2) | .name")
	[ "$(on hub forge-runner show "$runner" -q '.result, .place')" = "succeeded
agent:*" ]
	[ "$(on "$1" forge-runner show "$runner" -q '.result, .place')" = "succeeded
vm:runner" ]
	[[ "$(on "$1" forge-runner logs "$runner")" == *'completed with result: Succeeded'* ]]
	in_log "$2" "ran in $runner"
}

@test "a job lands in a microVM of a remote host" {
	id=$(github_job linux,east 'echo "ran in $(hostname)"')
	lands east "$id"
	[ -z "$(on west forge-runner list --all -q .name)" ]
}

@test "a job lands in a place of the driver process of another" {
	id=$(github_job linux,west 'echo "ran in $(hostname)"')
	lands west "$id"
}

# How often it began, on any host.
begun() { # NAME
	cat east/runner/*/log west/runner/*/log 2>/dev/null |
		grep -c "Running job: $1\$" || :
}
runs() { [ "$(begun "$1")" = 1 ]; }
asked() { # LABEL NUMBER of runners
	[ "$(on hub forge-runner list -q 'select(.state == "idle") | .name' | wc -l)" = "$1" ]
}
# A job that ends when the hub has this file.
until_there() { # NAME
	echo "until wget -qO /dev/null http://$HUB:8082/$1; do sleep 1; done
		echo \"ran in \$(hostname)\""
}

@test "a host that is cut off and comes back: each job runs once" {
	id=$(github_job linux,east "$(until_there healed)" long)
	wait_until 120 runs long
	[ -n "$(on east forge-vm list -q .name)" ]
	cut east
	run -28 on east "$(type -P curl)" -sS -m 1 "http://$HUB:8080"
	# what it is told now it may never hear
	late=$(github_job linux,east 'echo "ran in $(hostname)"' late)
	wait_until 60 asked 1
	if [ -n "$LIB_CUT" ]; then
		sleep "$LIB_CUT"
	else
		forget east
		wait_until 60 agents_online 1
	fi
	[ "$(begun late)" = 0 ]
	heal east
	wait_until $((${LIB_CUT:-0} + 120)) agents_online 2
	touch www/healed
	lands east "$id"
	lands east "$late"
	[ "$(begun long) $(begun late)" = "1 1" ]
}

@test "a job that ends while only the coordinator cannot be reached" {
	: >east.agent
	id=$(github_job linux,east "$(until_there blocked)" alone)
	wait_until 120 runs alone
	on hub nft 'table inet cut { chain in {
		type filter hook input priority 0; tcp dport 9443 drop; }; }'
	touch www/blocked
	# It tells of the end, into the void.
	wait_until 60 grep -q event=runner.ended east.agent
	forget east
	wait_until 60 agents_online 1
	on hub nft delete table inet cut
	wait_until 60 agents_online 2
	lands east "$id"
	[ "$(begun alone)" = 1 ]
}

done_at_hub() { # JOB
	[ "$(on hub forge-runner list --all -q "select(.job == $1) | .state")" = done ]
}
at_github() { gh GET /repos/acme/app/actions/runners | jq .total_count; }
nothing_at_github() { [ "$(at_github)" = 0 ]; }

@test "a host that never comes back: its runner is given up, others work" {
	on hub git config -f "$HOSTS/hub/config" agents.grace 2s
	id=$(github_job linux,west 'sleep 600' gone)
	wait_until 120 runs gone
	fake POST /config '{"lost_after": 3}' >/dev/null
	cut west
	forget west
	wait_until 120 completed "$id"
	[ "$(conclusion "$id")" = failure ]
	fake POST /config '{"lost_after": 600}' >/dev/null
	wait_until 60 done_at_hub "$id"
	wait_until 60 nothing_at_github
	wait_until 60 bare hub
	run -0 on hub forge-register agent list -q '[.host, .state] | join(" ")'
	[ "$(sort <<<"$output")" = "east online
west offline" ]
	# whose label nobody serves waits, and is in nobody's way
	waits=$(github_job linux,west true waits)
	id=$(github_job linux,east 'echo "ran in $(hostname)"' other)
	wait_until 120 completed "$id"
	in_log "$id" 'ran in'
	[ "$(begun waits) $(begun gone)" = "0 1" ]
	[ "$(on hub forge-runner pools -q .verdict)" = 'agents full' ]
	[ -z "$(grep -rl 'no agent with these labels' hub/runner)" ]
	# and should it come after all
	heal west
	wait_until 120 completed "$waits"
	wait_until 120 settled
	[ "$(begun waits) $(begun gone)" = "1 1" ]
}
