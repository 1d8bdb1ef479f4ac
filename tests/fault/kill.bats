#!/usr/bin/env bats
# kill.bats: kill -9 of each process at ten moments of a job's life.  After
# the next `forge-watch run --once` nothing is leaked, and the job gets its
# runner all the same, unless it had begun: then it failed or was cancelled.
#
# The whole way is real: signed webhooks through lighttpd, microVMs, the fake
# GitHub, which calls a job failed when its runner is silent for three seconds.

load ../cli/lib
load ../cli/images

POINTS='0 0.05 0.1 0.2 0.4 0.8 1.2 1.5 1.7 1.9'

setup() {
	common_setup
	use_image busybox
	export FORGE_CONFIG=/dev/null
	printf s3cret >webhook.secret
	echo ghp_fake >token
	web_start
	github_start --webhook-url "http://127.0.0.1:$WEB/webhook" \
		--webhook-secret s3cret --lost-after 3 --offline-after 1 \
		--runner-url-base 'http://10.127.0.1:{port}'
	forge-vm image build --base busybox --file \
		"$ROOT/tests/fake/runner-listener:/opt/actions-runner/bin/Runner.Listener" \
		runner >/dev/null
	cat >"$FORGE_STATE/config" <<CONF
[vm]
	net = user+loopback
[github "fake"]
	api = $GITHUB_URL
	token-file = $PWD/token
	webhook-secret-file = $PWD/webhook.secret
[pool "linux"]
	scope = repo:acme/app
	labels = linux
	place = vm:runner
	cpus = 1
	memory = 128M
	max = 2
	idle-timeout = 5s
CONF
}

teardown() {
	forge-runner list -q .name | xargs -r forge-runner stop --now
	forge-vm list -q .name | xargs -r forge-vm destroy
	common_teardown
}

web_start() {
	WEB=$(python3 -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	cat >lighttpd.conf <<CONF
server.bind = "127.0.0.1"
server.port = $WEB
server.document-root = "$PWD"
server.errorlog = "$PWD/lighttpd.log"
server.modules = ("mod_alias", "mod_setenv", "mod_cgi")
alias.url = ("/webhook" => "$BUILD/bin/forge-webhook")
setenv.add-environment = ("FORGE_STATE" => "$FORGE_STATE",
	"FORGE_CONFIG" => "/dev/null")
\$HTTP["url"] =~ "^/webhook" { cgi.assign = ("" => "") }
CONF
	background lighttpd.out lighttpd -D -f lighttpd.conf
}

# victims NAME: the pids that are to be killed
victims() {
	case $1 in
	watch) pgrep -f "forge-watch run --state=$FORGE_STATE" ;;
	runner) pgrep -f "forge-runner run --state=$FORGE_STATE" ;;
	vm) pgrep -f "forge-vm run --name=forge-" ;;
	hypervisor) pgrep -f "^qemu-system.*$FORGE_STATE/" ;;
	esac
}

completed() {
	forge-watch run --once --state="$FORGE_STATE" || return 1
	[ "$(fake GET "/jobs/$1/wait?timeout=1" | jq -r .status)" = completed ]
}

# nothing VMs or runners, at home or at GitHub
settled() {
	forge-watch run --once --state="$FORGE_STATE" || return 1
	[ -z "$(forge-runner list -q .name; forge-runner jobs -q .id)" ] &&
		[ -z "$(forge-vm list -q .name; forge-vm lease list -q .holder)" ] &&
		[ -z "$(forge-vm fsck -n; forge-runner sync -n)" ] &&
		[ "$(fake GET /state | jq '.runners | length')" = 0 ]
}

# The webhook told of it, perhaps already of its end.
known() { forge-runner why "$1" >/dev/null 2>&1; }

# one VICTIM MOMENT: a job, a kill, and the way back
one() {
	local id pid since conclusion begun
	since=$(forge-watch status -q .last_event || true)
	id=$(github_job linux 'sleep 0.2')
	wait_until 60 known "$id"
	if [ "$1" = watch ]; then
		background watch.log forge-watch run --state="$FORGE_STATE"
	else
		forge-watch run --once --state="$FORGE_STATE"
	fi
	sleep "$2"
	for pid in $(victims "$1"); do
		kill -9 "$pid" || true
	done
	wait_until 60 completed "$id"
	conclusion=$(fake GET "/jobs/$id/wait?timeout=1" | jq -r .conclusion)
	begun=$(forge-watch events --since "$since" -q \
		"select(.kind == \"job.started\" and .subject == \"$id\") | .seq" |
		wc -l)
	echo "# $1 at $2: $conclusion, begun $begun" >&3
	case $conclusion in
	success) ;;
	failure | cancelled) [ "$begun" != 0 ] ;;
	*) false ;;
	esac
	wait_until 60 settled
	[ -z "$(ls "$FORGE_STATE/vm" 2>/dev/null)" ]
	[ -z "$(find "$FORGE_STATE" -type s)" ]
	[ -z "$(pgrep -f "$FORGE_STATE" | grep -v "^$$\$" |
		xargs -r ps -o args= -p | grep -E '^(forge-|qemu|/.*forge-(vm|runner|watch))')" ]
}

all_points() {
	local point
	for point in $POINTS; do
		one "$1" "$point"
	done
}

@test "kill -9 of forge-watch" { all_points watch; }
@test "kill -9 of a runner" { all_points runner; }
@test "kill -9 of a VM's supervisor" { all_points vm; }
@test "kill -9 of the hypervisor" { all_points hypervisor; }
