#!/usr/bin/env bats
# --net tap: real guests on taps of a network namespace that plays the host,
# and a second one that plays the internet.  Nothing outside them is touched.
#
#	a	egress all
#	b	egress allow=192.0.2.10,good.test,*.wild.test
#	c	egress none

load lib
load images

# host COMMAND...: on the host that has the guests
host()
{
	ip netns exec "$NET-host" "$@"
}

internet()
{
	ip netns exec "$NET-inet" "$@"
}

# guest VM SHELL: status and output of it there
guest()
{
	host forge-vm exec "$1" -- sh -c "$2"
}

# page VM URL: what the guest gets of it within two seconds
page()
{
	guest "$1" "timeout 3 wget -q -O - '$2' 2>&1"
}

make_namespaces()
{
	ip netns add "$NET-host"
	ip netns add "$NET-inet"
	ip -n "$NET-host" link add up0 type veth peer name up0 \
		netns "$NET-inet"
	ip -n "$NET-host" link set lo up
	ip -n "$NET-inet" link set lo up
	ip -n "$NET-host" addr add 192.0.2.1/24 dev up0
	ip -n "$NET-host" addr add 2001:db8::1/64 dev up0 nodad
	ip -n "$NET-inet" addr add 192.0.2.2/24 dev up0
	ip -n "$NET-inet" addr add 192.0.2.10/24 dev up0
	ip -n "$NET-inet" addr add 192.0.2.11/24 dev up0
	ip -n "$NET-inet" addr add 169.254.169.254/32 dev up0
	ip -n "$NET-inet" addr add 2001:db8::2/64 dev up0 nodad
	ip -n "$NET-host" link set up0 up
	ip -n "$NET-inet" link set up0 up
	ip -n "$NET-host" route add default via 192.0.2.2
	ip -n "$NET-inet" route add fd12:3456:789a::/64 via 2001:db8::1
}

make_services()
{
	mkdir -p web
	echo the page >web/index.html
	background web.log ip netns exec "$NET-inet" python3 -u -m http.server --bind :: \
		-d web 80
	background host.log ip netns exec "$NET-host" python3 -u -m http.server --bind :: \
		-d web 8000
	background dns.log ip netns exec "$NET-inet" dnsmasq -k -C /dev/null --no-resolv \
		--no-hosts --log-queries --log-facility=- --local-ttl=60 \
		--user=root --local=/test/ --listen-address=192.0.2.2 --bind-interfaces \
		--address=/good.test/192.0.2.11 \
		--address=/wild.test/192.0.2.11 \
		--address=/wild.test/2001:db8::10 \
		--address=/bad.test/192.0.2.11 \
		--txt-record=good.test,secret
	wait_until 60 grep -q started dns.log
	wait_until 60 grep -q Serving web.log
	wait_until 60 grep -q Serving host.log
}

setup_file()
{
	[ "$(id -u)" = 0 ] || skip "taps are root's"
	common_setup
	NET=ft$$
	export NET
	use_image
	printf '[vm]\n\t%s\n\t%s\n' 'nameserver = 192.0.2.2' \
		'subnet6 = fd12:3456:789a::/64' >"$FORGE_STATE/config"
	export FORGE_CONFIG=/dev/null
	make_namespaces
	make_services
	host forge-vm setup >setup.out
	host forge-vm start --image busybox --net tap -n a &
	host forge-vm start --image busybox --net tap -n b \
		--egress 'allow=192.0.2.10,good.test,*.wild.test'
	wait $!
	host forge-vm start --image busybox --net tap -n c --egress none
	guest b 'mkdir /w; echo b >/w/index.html; httpd -h /w'
}

teardown_file()
{
	cd "$BATS_FILE_TMPDIR" || return
	export FORGE_STATE=$PWD/state PATH=$BUILD/bin:$BUILD/libexec:$PATH
	forge-vm list -q .name | xargs -r ip netns exec "$NET-host" \
		forge-vm destroy || :
	stop_background
	ip netns del "$NET-host" || :
	ip netns del "$NET-inet" || :
}

setup()
{
	cd "$BATS_FILE_TMPDIR" || return
	export FORGE_STATE=$PWD/state LC_ALL=C FORGE_CONFIG=/dev/null
	export PATH=$BUILD/bin:$BUILD/libexec:$PATH
}

address()
{
	forge-vm show "$1" -q .address
}

address6()
{
	printf 'fd12:3456:789a::a7f:%x' "$(address "$1" | cut -d. -f4)"
}

tap()
{
	local IFS=. byte
	printf forge-
	for byte in $(address "$1"); do printf %02x "$byte"; done
}

@test "egress all: the internet is reached, with the host's address" {
	run -0 page a http://192.0.2.2/
	[ "$output" = "the page" ]
	tail -n 1 web.log | grep -q '^::ffff:192\.0\.2\.1 '
}

@test "egress all: any name is resolved" {
	run -0 page a http://bad.test/
	[ "$output" = "the page" ]
}

@test "a guest has one address, and the gateway beyond it" {
	run -0 guest a 'ip -4 -o addr show eth0; ip route'
	[[ $output == *"inet $(address a)/32 "* ]]
	[[ $output == *"default via 10.127.0.1 dev eth0"* ]]
}

@test "guests do not reach each other" {
	run -0 guest b 'wget -q -O - http://127.0.0.1/'
	[ "$output" = b ]
	run -1 page a "http://$(address b)/"
	run -1 guest a "ping -c 1 -W 1 $(address b)"
	run -1 guest a "ping -c 1 -W 1 $(address6 b)"
}

@test "guests do not reach the host's services at any of its addresses" {
	run -0 host curl -sS -m 2 http://192.0.2.1:8000/
	[ "$output" = "the page" ]
	run -0 host curl -sS -m 2 http://10.127.0.1:8000/
	for address in 10.127.0.1 10.127.0.2 192.0.2.1 '[2001:db8::1]'; do
		run -1 page a "http://$address:8000/"
		[[ $output == *"refused"* ]]
	done
	# It is not the gateway that is missing: the host answers for b's name.
	run ! grep -q 'GET.*10\.127' host.log
}

@test "the host reaches a guest" {
	run -0 host curl -sS -m 2 "http://$(address b)/"
	[ "$output" = b ]
}

@test "nobody from elsewhere begins a connection to a guest" {
	ip -n "$NET-inet" route add 10.127.0.0/16 via 192.0.2.1
	run -28 internet curl -sS -m 1 "http://$(address b)/"
	ip -n "$NET-inet" route del 10.127.0.0/16
}

@test "the metadata address is out of reach" {
	ip -n "$NET-host" route add 169.254.169.254/32 via 192.0.2.2
	run -0 host curl -sS -m 2 http://169.254.169.254/
	run -1 page a http://169.254.169.254/
	ip -n "$NET-host" route del 169.254.169.254/32
}

@test "egress allow: what is named is reached, nothing else" {
	run -0 page b http://192.0.2.10/
	[ "$output" = "the page" ]
	run -1 page b http://192.0.2.2/
	# .11 is reached only once its name was resolved
	run -1 page b http://192.0.2.11/
	run -0 page b http://good.test/
	[ "$output" = "the page" ]
	run -0 page b http://192.0.2.11/
}

@test "egress allow: the addresses of a name are allowed for its time" {
	host nft flush set inet forge "$(tap b)_4"
	run -1 page b http://192.0.2.11/
	run -0 guest b 'nslookup x.wild.test'
	run -0 host nft list set inet forge "$(tap b)_4"
	[[ $output == *"192.0.2.11 timeout 1m expires "* ]]
	run -0 host nft list set inet forge "$(tap b)_6"
	[[ $output == *"2001:db8::10 timeout 1m expires "* ]]
	# asked again, it is valid for the whole time again
	sleep 3
	run -0 guest b 'nslookup x.wild.test'
	run -0 host nft list set inet forge "$(tap b)_4"
	[[ $output == *"192.0.2.11 timeout 1m expires 5"[89]s* ]]
}

@test "egress allow: other names are refused, and nobody is asked" {
	run -1 guest b 'nslookup bad.test'
	[[ $output == *REFUSED* ]]
	run -1 guest b 'nslookup secret.exfiltrated.bad.test'
	run -1 guest b 'nslookup good.test.bad.test'
	run -1 guest b 'nslookup notwild.test'
	run ! grep -E 'exfiltrated|good.test.bad|notwild' dns.log
}

@test "egress allow: of an allowed name nothing but addresses" {
	run guest b 'nslookup -type=txt good.test'
	[[ $output != *secret* ]]
	run guest a 'nslookup -type=txt good.test'
	[[ $output == *secret* ]]
}

@test "egress allow: other name servers are out of reach" {
	run -1 guest b 'nslookup good.test 192.0.2.2'
	run -0 guest a 'nslookup good.test 192.0.2.2'
}

@test "egress none: nothing, and no names" {
	run -1 page c http://192.0.2.2/
	run -1 guest c 'nslookup good.test'
	run -1 guest c 'ping -c 1 -W 1 10.127.0.1'
}

@test "IPv6: reached with the guest's own address" {
	run -0 page a 'http://[2001:db8::2]/'
	[ "$output" = "the page" ]
	tail -n 1 web.log | grep -q "^$(address6 a) "
	run -1 page b 'http://[2001:db8::2]/'
	run -1 page c 'http://[2001:db8::2]/'
}

@test "a packet with another address does not leave the tap" {
	guest a 'ip addr add 10.127.9.9/32 dev eth0
		ip addr add fd12:3456:789a::99/128 dev eth0'
	run -0 guest a 'ping -c 1 -W 2 192.0.2.2'
	run -1 guest a 'ping -c 1 -W 1 -I 10.127.9.9 192.0.2.2'
	run -0 guest a "ping -c 1 -W 2 -I $(address6 a) 2001:db8::2"
	run -1 guest a 'ping -c 1 -W 1 -I fd12:3456:789a::99 2001:db8::2'
	guest a 'ip addr del 10.127.9.9/32 dev eth0
		ip addr del fd12:3456:789a::99/128 dev eth0'
}

@test "a packet with another MAC does not leave the tap" {
	mac=$(forge-vm show a -q .mac)
	set_mac="ip link set eth0 down; ip link set eth0 address MAC
		ip link set eth0 up; ip route add 10.127.0.1 dev eth0
		ip route add default via 10.127.0.1"
	guest a "${set_mac/MAC/02:00:00:00:00:01}"
	run -1 guest a 'ping -c 1 -W 1 192.0.2.2'
	guest a "${set_mac/MAC/$mac}"
	run -0 guest a 'ping -c 1 -W 2 192.0.2.2'
}
