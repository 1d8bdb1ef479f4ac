#!/usr/bin/env bats
# forge-vm setup and fsck of taps, in a network namespace of its own; what
# kill -9 leaves at each step.

load lib
load images

setup()
{
	[ "$(id -u)" = 0 ] || skip "taps are root's"
	common_setup
	export FORGE_CONFIG=/dev/null NET=fs$$-$BATS_TEST_NUMBER
	ip netns add "$NET"
	host ip link set lo up
	mkdir -m 700 "$FORGE_STATE"
	host nft add table inet other
	before=$(network)
}

teardown()
{
	[ ! -e "$FORGE_STATE/forge.db" ] ||
		forge-vm list -q .name | xargs -r ip netns exec "$NET" \
			forge-vm destroy
	common_teardown
	ip netns del "$NET"
}

host()
{
	ip netns exec "$NET" "$@"
}

# Everything that setup and taps change.
network()
{
	host nft -s list ruleset
	host ip route show table all type unreachable
	host ip -6 route show table all type unreachable
	host ip -o link show | sed 's/.*: \(.*\): <.*/\1/'
	host cat /proc/sys/net/ipv4/ip_forward \
		/proc/sys/net/ipv6/conf/all/forwarding
}

configure()
{
	printf '[vm]\n' >"$FORGE_STATE/config"
	printf '\t%s\n' "$@" >>"$FORGE_STATE/config"
}

# spec NAME: what forge-net is told of a guest of this state
spec()
{
	local hash
	hash=$(printf %s "$FORGE_STATE" | sha256sum | cut -c1-12)
	jq -n --arg alias "forge:$hash:$1" '{ tap: "forge-0a7f0010", $alias,
		mac: "02:00:00:00:00:10", address: "10.127.0.16",
		gateway: "10.127.0.1", dns: "10.127.0.2",
		address6: "fd12::a7f:10", gateway6: "fe80::1", bridge: null,
		egress: { mode: "allow", net4: ["192.0.2.0/24"], net6: [],
			hosts: ["good.test"] } }'
}

# killed CALLS N COMMAND...: with KILL at the N-th of these system calls; fails
# when it came to its end before
killed()
{
	local calls=$1 n=$2 status=0
	shift 2
	host strace -qq -o /dev/null -e "trace=$calls" \
		-e "inject=$calls:signal=SIGKILL:when=$n" "$@" || status=$?
	[ "$status" = 137 ] || [ "$status" = 0 ] || echo "status $status" >&2
	[ "$status" = 137 ]
}

@test "setup says what it changes, changes it once, and takes it back" {
	run -0 host forge-vm setup -n
	[ "$output" = "table inet forge: made
sysctl net.ipv4.ip_forward: 0, now 1
route unreachable 10.127.0.0/16: made" ]
	said=$output
	[ "$(network)" = "$before" ]
	run -0 host forge-vm setup
	[ "$output" = "$said" ]
	[ "$(host cat /proc/sys/net/ipv4/ip_forward)" = 1 ]
	run -0 host forge-vm setup
	[ "$output" = "" ]
	run -0 host forge-vm setup --undo --dry-run
	[ "${#lines[@]}" = 3 ]
	[ "$(host cat /proc/sys/net/ipv4/ip_forward)" = 1 ]
	run -0 host forge-vm setup --undo
	[ "$output" = "route unreachable 10.127.0.0/16: removed
sysctl net.ipv4.ip_forward: 1, now 0
table inet forge: removed" ]
	[ "$(network)" = "$before" ]
	run -0 host forge-vm setup --undo
	[ "$output" = "" ]
}

@test "setup with IPv6; what was so before stays so" {
	configure 'subnet6 = fd12:3456:789a::/64'
	host sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
	was=$(network)
	run -0 host forge-vm setup
	[ "$output" = "table inet forge: made
route unreachable 10.127.0.0/16: made
sysctl net.ipv6.conf.all.forwarding: 0, now 1
route unreachable fd12:3456:789a::/64: made" ]
	run -0 host forge-vm setup
	[ "$output" = "" ]
	run -0 host forge-vm setup --undo
	[ "$(network)" = "$was" ]
}

@test "setup puts right what somebody took away, or configured anew" {
	host forge-vm setup
	host nft delete table inet forge
	run -0 host forge-vm setup
	[ "$output" = "table inet forge: made" ]
	configure 'subnet = 10.99.0.0/20'
	run -0 host forge-vm setup
	[ "$output" = "table inet forge: renewed
route unreachable 10.99.0.0/20: made" ]
	host forge-vm setup --undo
	[ "$(network)" = "$before" ]
}

@test "setup killed at each step, and undo too: in the end all is as before" {
	configure 'subnet6 = fd12:3456:789a::/64'
	forge-vm list
	n=1
	while killed fdatasync "$n" forge-vm setup; do
		n=$((n + 1))
	done
	[ "$n" -gt 3 ]
	run -0 host forge-vm setup
	[ "$output" = "" ]
	m=1
	while killed fdatasync "$m" forge-vm setup --undo; do
		m=$((m + 1))
		host forge-vm setup
	done
	[ "$m" -gt 2 ]
	[ "$(network)" = "$before" ]
}

@test "a tap that is made or removed and killed at each step: fsck" {
	host forge-vm setup
	clean=$(network)
	spec gone >spec.json
	for verb in up down; do
		n=1
		while
			[ $verb = up ] ||
				host forge-net up <spec.json
			killed sendto,sendmsg,ioctl "$n" \
				forge-net $verb <spec.json
		do
			host forge-vm fsck -n >told
			[ "$(network)" = "$clean" ] || [ -s told ]
			run -0 host forge-vm fsck
			[ "$output" = "$(cat told)" ]
			[ "$(network)" = "$clean" ]
			run -0 host forge-vm fsck
			[ "$output" = "" ]
			n=$((n + 1))
		done
		echo "# $verb: $n steps" >&3
		[ "$n" -gt 10 ]
		host forge-vm fsck
		[ "$(network)" = "$clean" ]
	done
}

@test "fsck leaves the taps of others alone" {
	host forge-vm setup
	spec gone | jq '.alias = "forge:0123456789ab:gone"' |
		host forge-net up
	host ip tuntap add forge-mine mode tap
	with=$(network)
	run -0 host forge-vm fsck
	[ "$output" = "" ]
	[ "$(network)" = "$with" ]
}

# buried VM: by fsck, which leaves alone what still dies
buried()
{
	host forge-vm fsck
	! forge-vm show "$1" >/dev/null 2>&1
}

# supervisor VM: its pid
supervisor()
{
	local identity
	identity=$(forge-vm show "$1" -q .supervisor 2>/dev/null) || return 1
	identity=${identity#*:}
	echo "${identity%%:*}"
}

@test "a supervisor that is killed: its tap goes with its VM" {
	use_image
	host forge-vm setup
	clean=$(network)
	configure 'nameserver = 192.0.2.2'
	for delay in 0 0.02 0.05 0.1 0.3 1.5; do
		host forge-vm run --image busybox --net tap -n dead \
			--egress allow=good.test -- sleep 60 &
		wait_until 60 supervisor dead
		sleep "$delay"
		kill -KILL "$(supervisor dead)"
		wait $! || :
		wait_until 60 buried dead
		[ "$(network)" = "$clean" ]
		run -0 host forge-vm fsck
		[ "$output" = "" ]
	done
	run -0 forge-vm lease list -q .address
	[ "$output" = "" ]
}

@test "setup --undo is refused while a VM has a tap; its end leaves nothing" {
	use_image
	host forge-vm setup
	clean=$(network)
	host forge-vm start --image busybox --net tap -n web --egress none
	run -4 host forge-vm setup --undo
	[ "$output" = "forge-vm: VM 'web' has a tap; stop it first" ]
	run -0 host forge-vm fsck
	[ "$output" = "" ]
	run -0 forge-vm show web -q '"\(.net) \(.egress)"'
	[ "$output" = "tap none" ]
	host forge-vm stop web
	[ "$(network)" = "$clean" ]
}

@test "vm.bridge: a port of that bridge, isolated, and nothing spoofed" {
	use_image
	configure 'bridge = br7'
	host ip link add br7 type bridge
	host ip addr add 10.127.0.1/16 dev br7
	host ip link set br7 up
	run -0 host forge-vm setup
	[ "$output" = "table inet forge: made" ]
	host forge-vm start --image busybox --net tap -n b
	run -0 host bridge -d link show
	[[ $output == *"master br7 "* ]]
	[[ $output == *"isolated on"* ]]
	run -0 host forge-vm exec b -- ping -c 1 -W 3 10.127.0.1
	host forge-vm exec b -- ip addr add 10.127.9.9/16 dev eth0
	run -1 host forge-vm exec b -- ping -c 1 -W 1 -I 10.127.9.9 10.127.0.1
	run -2 host forge-vm run --image busybox --net tap --egress none
	[[ $output == *"on vm.bridge 'br7' only all"* ]]
}

@test "what is wrong is said in one line" {
	use_image
	run -125 host forge-vm run --image busybox --net tap -- true
	[[ $output == *"the host is not set up for --net tap; run 'forge-vm setup'" ]]
	[ "${#lines[@]}" = 1 ]
	run -0 host forge-vm fsck
	[ "$output" = "" ]
	run -2 forge-vm plan --image busybox --net user --egress all
	[[ $output == *"--egress needs --net tap, not user"* ]]
	for word in some allow= allow=1.2.3.4/33 allow=1.2.3 allow=a..b \
		allow=ok.test,x/y "allow=$(printf 'a\033b')"; do
		run -2 forge-vm plan --image busybox --net tap \
			--egress "$word"
		[[ $output == *"forge-vm: --egress: "* ]]
	done
	configure 'subnet6 = fd12::/100'
	run -1 forge-vm plan --image busybox --net tap
	[[ $output == *"vm.subnet6: 'fd12::/100' is not like "* ]]
}
