# Hosts of their own: `load hosts` after `load lib` and `load images`.
#
#	hosts_start [OPTION...]	in setup_file: the hub and a fake GitHub there,
#				with these options; east and west, which have
#				joined it
#	hosts_setup		in setup
#	on HOST COMMAND...	there: its network, its name, its state
#	curl ...		at the hub, so gh and fake work
#	cut HOST, heal HOST	its link to the hub
#	forget HOST		both ends give the connections up, as they
#				do when nothing was heard for 45 s
#	hosts_end		in teardown_file
#	agents_online NUMBER
#	touch www/NAME		http://HUB:8082/NAME is there
#	bare HOST		nothing runs there, nothing is left
#
# A host is a network and a UTS namespace, held by a process that sleeps:
# they end together.  East and west have a link to the hub each, and none to
# one another; HUB is the hub's address.

HUB=10.91.0.1

# unshare execs: its pid is the sleeper's.
host_make() { # HOST
	mkdir -m 700 "$1"
	background "$1.log" unshare --net --uts sleep 3600
	echo "$LAST_PID" >"$1.pid"
	wait_until 60 own_network "$LAST_PID"
	on "$1" hostname "$1"
	on "$1" ip link set lo up
}
own_network() {
	[ "$(readlink "/proc/$1/ns/uts")" != "$(readlink /proc/self/ns/uts)" ]
}

on() { # HOST COMMAND...
	local host=$1
	shift
	FORGE_STATE=$HOSTS/$host nsenter -n -u -t "$(cat "$HOSTS/$host.pid")" -- "$@"
}

curl() { on hub "$(type -P curl)" "$@"; }

# link_make HOST NUMBER: hub's end is NUMBER.1, its own NUMBER.2
link_make() {
	on hub ip link add "to-$1" type veth peer name net0 netns "$(cat "$1.pid")"
	on hub ip addr add "10.91.$2.1/30" dev "to-$1"
	on hub ip link set "to-$1" up
	on "$1" ip addr add "10.91.$2.2/30" dev net0
	on "$1" ip link set net0 up
	on "$1" ip route add default via "10.91.$2.1"
}

cut() { on hub ip link set "to-$1" down; }
heal() { on hub ip link set "to-$1" up; }
forget() {
	on "$1" ss -K dst "$HUB" >/dev/null 2>&1
	on hub ss -K dst "$(on "$1" ip -4 -o addr show net0 | awk '{ sub("/.*", "", $4); print $4 }')" \
		>/dev/null 2>&1
}

# Everything of a job but GitHub: the image with a listener, once for both.
host_image() { # HOST
	local listener=$ROOT/tests/fake/runner-listener
	export FORGE_STATE=$HOSTS/$1
	use_image busybox
	forge-vm image build --base busybox --file \
		"$listener:/opt/actions-runner/bin/Runner.Listener" runner >/dev/null
}

host_config() { # HOST DRIVER
	cat >"$1/config" <<-CONF
	[vm]
		net = user
		driver = $2
	[pool "linux"]
		scope = repo:acme/app
		labels = linux, $1
		place = vm:runner
		cpus = 1
		memory = 128M
		max = 2
		idle-timeout = 60s
	CONF
}

hub_config() {
	cat >hub/config <<-CONF
	[agents]
		listen = $HUB:9443
		url = https://$HUB:9443
		name = $HUB
		grace = ${GRACE-60s}
	[watch]
		poll = 1s
	[github "fake"]
		api = $GITHUB_URL
		token-file = $PWD/token
		webhook-secret-file = $PWD/secret
	[pool "far"]
		scope = repo:acme/app
		labels = linux, east
		labels = linux, west
		place = agent:*
		max = 4
	CONF
}

# github_start, but there; its webhooks come to one program each, as from inetd.
hub_github() {
	printf s3cret >secret
	host_run hub door systemd-socket-activate --accept --inetd -l 127.0.0.1:8081 \
		-E FORGE_STATE -E FORGE_CONFIG -E PATH "$BUILD/bin/forge-webhook" --inetd
	wait_until 60 grep -q '^Listening on' hub.door
	export GITHUB_DIR=$PWD/github GITHUB_PAT=ghp_fake
	export GITHUB_FAKE=http://127.0.0.1:8080 GITHUB_URL=http://127.0.0.1:8080
	mkdir "$GITHUB_DIR"
	echo "$GITHUB_PAT" >token
	background github/log nsenter -n -t "$(cat hub.pid)" \
		"$ROOT/tests/fake/github" --listen 0.0.0.0 --port 8080 --runner-url-base "http://$HUB:8080" --pat "$GITHUB_PAT" \
		--port-file github/port --webhook-url http://127.0.0.1:8081/ \
		--webhook-secret s3cret --state "$GITHUB_DIR" "$@"
	wait_until 60 test -e github/port
}

host_run() { # HOST NAME COMMAND...: in the background, its log is HOST/NAME
	local host=$1 name=$2
	shift 2
	FORGE_STATE=$HOSTS/$host background "$host.$name" \
		nsenter -n -u -t "$(cat "$host.pid")" -- "$@"
	echo "$LAST_PID" >"$host.$name.pid"
}

agent_host() { # HOST NUMBER DRIVER
	host_make "$1"
	link_make "$1" "$2"
	host_config "$1" "$3"
	on hub forge-register token create --for vm | on "$1" forge-register join - >/dev/null
	host_run "$1" agent forge-agent run -v
}

hosts_start() {
	export FORGE_CONFIG=/dev/null HOSTS=$PWD LIB_HOSTS=$PWD
	host_make hub
	on hub ip addr add "$HUB/32" dev lo
	hub_github "$@"
	hub_config
	on hub forge-register ca init >/dev/null
	mkdir www
	host_run hub www /usr/bin/python3 -m http.server -b "$HUB" -d "$PWD/www" 8082
	host_run hub watch forge-watch run
	wait_until 60 grep -q event=stream.started hub.watch
	agent_host east 1 qemu
	host_image east
	agent_host west 2 process
	mkdir -p west/image
	cp -al east/image/* west/image/
	on west forge-vm fsck >/dev/null
	wait_until 60 agents_online 2
}

hosts_setup() {
	common_setup
	export FORGE_CONFIG=/dev/null HOSTS=$LIB_HOSTS GITHUB_PAT=ghp_fake
	export GITHUB_FAKE=http://127.0.0.1:8080 GITHUB_URL=http://127.0.0.1:8080
	cd "$HOSTS" || return 1
}

hosts_end() {
	local host
	for host in hub east west; do
		on "$host" forge-runner list -q .name |
			on "$host" xargs -r forge-runner stop --now
		on "$host" forge-vm list -q .name | on "$host" xargs -r forge-vm destroy
	done
	stop_background
}

agents_online() {
	[ "$(on hub forge-register agent list -q 'select(.state == "online") | .id' | wc -l)" = "$1" ]
}

bare() { # HOST
	[ -z "$(on "$1" forge-runner list -q .name
		on "$1" forge-vm list -q .name
		on "$1" forge-vm lease list -q .holder
		on "$1" forge-vm fsck -n
		ls "$HOSTS/$1/vm" 2>/dev/null
		pgrep -af "^(qemu-system|bwrap|passt|.*forge-(vm|runner)) .*$HOSTS/$1")" ]
}
