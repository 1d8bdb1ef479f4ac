#!/usr/bin/env bats
# forge-watch as a service: metrics, sockets, systemd's protocols, signals.
# What it decides is in forge-runner.bats.

load lib

setup_file() {
	common_setup
	github_start --webhook-secret s3cret
}
teardown_file() {
	stop_background
}

setup() {
	common_setup
	mkdir -m 700 "$FORGE_STATE"
	export FORGE_CONFIG=/dev/null
	echo "$GITHUB_PAT" >token
	printf s3cret >secret
	REPO=acme/w$BATS_TEST_NUMBER
	configure
}
teardown() {
	forge-runner list -q .name | xargs -r forge-runner stop --now
	common_teardown
}

configure() { # [EXTRA-LINES]
	cat >"$FORGE_STATE/config" <<CONF
[github "fake"]
	api = $GITHUB_URL
	token-file = $PWD/token
	webhook-secret-file = $PWD/secret
[pool "here"]
	scope = repo:$REPO
	labels = self-hosted, linux
	place = here
	max = 2
	runner-command = $ROOT/tests/fake/runner-listener run
${1-}
CONF
}

watch_start() { # [NAME=VALUE...]
	background watch.log env "$@" forge-watch run
	WATCH=$LAST_PID
	wait_until 60 forge-watch status --quiet >/dev/null
}

# Webhooks come in by systemd's door, without a web server.
webhooks_start() {
	local port
	port=$(free_port)
	background door systemd-socket-activate --accept --inetd \
		-l "127.0.0.1:$port" -E FORGE_STATE -E FORGE_CONFIG -E PATH \
		"$BUILD/bin/forge-webhook" --inetd
	fake POST /config "{\"webhook_url\": \"http://127.0.0.1:$port/\"}" >/dev/null
	wait_until 60 grep -q '^Listening on' door
}

free_port() {
	/usr/bin/python3 -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

job() { # SCRIPT
	github_job linux,self-hosted "$1" build "$REPO"
}

# The judge of the format is a reader that others use.
openmetrics() {
	/usr/bin/python3 -c '
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
for f in text_string_to_metric_families(sys.stdin.read()):
    for s in f.samples:
        labels = ",".join("%s=%s" % kv for kv in sorted(s.labels.items()))
        print("%s{%s} %g" % (s.name, labels, s.value))'
}

@test "metrics: of a state where nothing was" {
	run -0 --separate-stderr forge-watch metrics
	[ "$stderr" = '' ]
	openmetrics <<<"$output" >samples
	diff - samples <<-END
	forge_pool_jobs_queued{pool=here} 0
	forge_pool_runners{pool=here,state=starting} 0
	forge_pool_runners{pool=here,state=idle} 0
	forge_pool_runners{pool=here,state=busy} 0
	forge_pool_runners{pool=here,state=ending} 0
	forge_pool_runners_max{pool=here} 2
	forge_pool_verdict{pool=here,verdict=enough} 1
	forge_jobs_unserved{} 0
	forge_watch_up{} 0
	forge_events_total{} 0
	forge_build{version=$(forge-watch --version | awk '{ print $NF }')} 1
	forge_github_blocked_seconds{github=fake} 0
	forge_vm_memory_bytes{} 0
	forge_vm_cpus{} 0
	forge_leases{} 0
	forge_image_bytes{} 0
	END
}

@test "metrics: jobs and runners are counted, and stay so" {
	watch_start
	webhooks_start
	job true >/dev/null
	job 'exit 1' >/dev/null
	both_done() {
		[ "$(forge-runner list --all -q 'select(.state == "done")' |
			wc -l)" = 2 ]
	}
	wait_until 60 both_done
	forge-watch metrics | openmetrics >samples
	fake POST /flush >/dev/null
	forge-watch metrics | openmetrics >samples
	grep -qx 'forge_watch_up{} 1' samples
	grep -qx 'forge_runners_ended_total{pool=here,result=succeeded} 1' samples
	grep -qx 'forge_runners_ended_total{pool=here,result=failed} 1' samples
	grep -qx 'forge_webhook_deliveries_total{outcome=applied} 6' samples
	grep -qx 'forge_job_startup_seconds_count{pool=here} 2' samples
	grep -qx 'forge_job_run_seconds_count{conclusion=failure,pool=here} 1' samples
	grep -qx 'forge_runner_boot_seconds_count{pool=here} 2' samples
	grep -qx 'forge_runner_boot_seconds_bucket{le=+Inf,pool=here} 2' samples
	[ "$(grep -c 'forge_runner_boot_seconds_bucket' samples)" = 18 ]
	forge-runner list --all -q .name | xargs forge-runner rm
	forge-watch metrics | openmetrics >after
	grep -qx 'forge_runners_ended_total{pool=here,result=succeeded} 1' after
}

@test "metrics: what is left of GitHub's budgets, and a refusal" {
	forge-runner check >/dev/null || true
	forge-runner sync --jobs
	forge-watch metrics | openmetrics >samples
	limit=$(sed -n 's/^forge_github_rate_limit{budget=core,github=fake} //p' samples)
	left=$(sed -n 's/^forge_github_rate_remaining{budget=core,github=fake} //p' samples)
	[ "$limit" -gt "$left" ]
	[ "$left" -gt 0 ]
	reset=$(sed -n 's/^forge_github_rate_reset_seconds{budget=core,github=fake} //p' samples)
	[ "$reset" -gt 0 ]
	[ "$reset" -le 3600 ]
	grep -qx 'forge_github_blocked_seconds{github=fake} 0' samples
	fake POST /faults '{"match":{"method":"*","path":".*"},"times":1,
		"status":429,"headers":{"retry-after":"300"}}' >/dev/null
	run forge-runner sync --jobs
	fake DELETE /faults >/dev/null
	forge-watch metrics | openmetrics >samples
	blocked=$(sed -n 's/^forge_github_blocked_seconds{github=fake} //p' samples)
	[ "$blocked" -gt 60 ]
	[ "$blocked" -le 300 ]
}

@test "metrics: a label may be anybody's text" {
	sed -i 's/pool "here"/pool "a\\\\b"/' "$FORGE_STATE/config"
	forge-watch metrics | openmetrics | grep -qxF 'forge_pool_runners_max{pool=a\b} 2'
}

@test "metrics -o: a file, replaced as a whole" {
	echo old >file
	run -0 --separate-stderr forge-watch metrics -o file
	[ "$output$stderr" = '' ]
	[ "$(tail -n 1 file)" = '# EOF' ]
	[ "$(stat -c %a file)" = 644 ]
	run -3 --separate-stderr forge-watch metrics -o nowhere/file
	[[ "$stderr" == *"nowhere/file"*": No such file or directory" ]]
	run -2 --separate-stderr forge-watch metrics -o file --inetd
	[ "${stderr_lines[0]}" = 'forge-watch: --inetd and --output exclude each other' ]
}

@test "metrics: over a socket, and a client that says nothing delays nobody" {
	configure "[watch]
	metrics = $PWD/metrics.sock"
	watch_start
	[ "$(stat -c %a metrics.sock)" = 660 ]
	background silent /usr/bin/python3 -c '
import socket, time
s = socket.socket(socket.AF_UNIX)
s.connect("metrics.sock")
print("connected", flush=True)
time.sleep(30)'
	wait_until 60 test -s silent
	run -0 curl -sS -m 5 -D head --unix-socket metrics.sock http://x/metrics
	grep -qi '^content-type: application/openmetrics-text; version=1.0.0; charset=utf-8' head
	openmetrics <<<"$output" | grep -qx 'forge_watch_up{} 1'
	run -0 curl -sS -m 5 -o out -w '%{http_code}' -d x --unix-socket metrics.sock http://x/
	[ "$output" = 405 ]
	stop_pid "$WATCH"
	# What a dead one left is no hindrance; a living one is.
	watch_start
	background second env FORGE_STATE="$PWD/other" forge-watch run
	pid=$LAST_PID
	mkdir -m 700 other.d
	run -4 --separate-stderr env FORGE_STATE="$PWD/other.d" \
		FORGE_CONFIG="$FORGE_STATE/config" timeout 5 forge-watch run
	[ "$stderr" = "forge-watch: another program listens on '$PWD/metrics.sock'" ]
	stop_pid "$pid"
}

@test "metrics: a place to listen that makes no sense is told" {
	configure '[watch]
	metrics = nowhere'
	run -1 --separate-stderr timeout 5 forge-watch run
	[ "$stderr" = "forge-watch: 'nowhere' is neither ADDRESS:PORT nor /PATH" ]
}

@test "systemd: the socket that it passes is used" {
	command -v systemd-socket-activate >/dev/null
	port=$(free_port)
	background activate systemd-socket-activate -l "127.0.0.1:$port" \
		--fdname=metrics -E FORGE_STATE -E FORGE_CONFIG -E PATH \
		"$BUILD/bin/forge-watch" run
	run -0 --separate-stderr curl -sS -m 10 --retry 20 --retry-connrefused --retry-delay 1 \
		"http://127.0.0.1:$port/metrics"
	openmetrics <<<"$output" | grep -qx 'forge_watch_up{} 1'
}

@test "systemd: ready, status, watchdog, reloading, stopping" {
	background told /usr/bin/python3 -c '
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("notify")
while True:
    print(s.recv(4096).decode().replace("\n", " "), flush=True)'
	wait_until 60 test -S notify
	watch_start NOTIFY_SOCKET="$PWD/notify" WATCHDOG_USEC=200000
	wait_until 60 grep -qx 'STATUS=0 jobs queued, 0 runners' told
	[ "$(head -n 1 told)" = READY=1 ]
	five() { [ "$(grep -cx WATCHDOG=1 told)" -ge 5 ]; }
	wait_until 60 five
	kill -HUP "$WATCH"
	wait_until 60 grep -qE '^RELOADING=1 MONOTONIC_USEC=[0-9]+$' told
	twice() { [ "$(grep -cx READY=1 told)" = 2 ]; }
	wait_until 60 twice
	kill "$WATCH"
	wait_until 60 grep -qx STOPPING=1 told
}

@test "HUP: says what changed" {
	watch_start
	sed -i 's/max = 2/max = 4/; s/self-hosted, linux/linux/' "$FORGE_STATE/config"
	kill -HUP "$WATCH"
	wait_until 60 grep -q event=watch.reloaded watch.log
	run -0 forge-watch events -q 'select(.kind == "watch.reloaded").data.changes[]'
	[ "$output" = '-pool.here.labels=self-hosted, linux
+pool.here.labels=linux
-pool.here.max=2
+pool.here.max=4' ]
	grep -q 'change="\?+pool.here.max=4' watch.log
}

@test "a GitHub that does not answer delays no other" {
	# A listener that takes connections and says nothing.
	background hole /usr/bin/python3 -c '
import socket
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
kept = []
while True:
    kept.append(s.accept())'
	wait_until 60 test -s hole
	hole=$(cat hole)
	configure "[github \"hole\"]
	api = http://127.0.0.1:$hole
	token-file = $PWD/token
[pool \"hole\"]
	github = hole
	scope = repo:acme/hole
	labels = hole
	place = here"
	sed -i 's/^\[pool "here"\]/&\n\tgithub = fake/' "$FORGE_STATE/config"
	webhooks_start
	watch_start
	job true >/dev/null
	done_here() { [ "$(forge-runner list --all -q .result)" = succeeded ]; }
	wait_until 60 done_here
}

@test "TERM: takes no more work, leaves runners; the next one adopts them" {
	webhooks_start
	watch_start
	job 'sleep 5' >/dev/null
	begun() { forge-runner logs "$(forge-runner list -q .name)" 2>/dev/null | grep -q 'Running job'; }
	wait_until 60 begun
	name=$(forge-runner list -q .name)
	kill "$WATCH"
	wait_until 60 sh -c "! kill -0 $WATCH 2>/dev/null"
	run -1 forge-watch status --quiet
	job true >/dev/null
	[ "$(forge-runner list -q .name)" = "$name" ]
	watch_start
	two() { [ "$(forge-runner list --all -q 'select(.result == "succeeded")' | wc -l)" = 2 ]; }
	wait_until 60 two
	[ "$(forge-runner list --all -q .name | wc -l)" = 2 ]
}

@test "systemd: it finds no fault with the units" {
	local unit units=()
	mkdir units
	for unit in "$ROOT"/contrib/systemd/*; do
		sed "s|/usr/local/bin/|$BUILD/bin/|" "$unit" >"units/${unit##*/}"
	done
	cd units
	for unit in *@.service; do
		cp "$unit" "${unit/@/@x}"
	done
	for unit in *; do
		[[ $unit = *@.* ]] || units+=("$unit")
	done
	run -0 env SYSTEMD_UNIT_PATH="$PWD:" systemd-analyze verify --man=no \
		-- "${units[@]}"
	[ "$(grep forge <<<"$output")" = '' ]
}
