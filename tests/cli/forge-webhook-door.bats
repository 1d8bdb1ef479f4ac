# forge-webhook as a web server runs it without webhook.direct: deliveries go
# to the spool, and the small program does it alone.

# shellcheck disable=SC2030,SC2031,SC2154

load lib
load webhook

setup()
{
	webhook_setup
	sed -i '/webhook\]/d; /direct/d' state/config
}

teardown()
{
	common_teardown
}

# Only a configuration that has been left alone for two seconds is cached;
# a request that needs the whole program leaves the cache.
warm()
{
	sleep 2.1
	[ "$(post warm)" = '{"spooled":"warm"}'$'\n202' ]
	[ -e state/cache/config ]
}

# With no whole program to become: what is answered now, the door answers.
alone()
{
	mkdir empty
	sed -i "s|\"FORGE_STATE\" => |\"FORGE_LIBEXEC\" => \"$PWD/empty\", &|" \
		lighttpd.conf
	stop_pid "$SERVER"
	background lighttpd.log /usr/sbin/lighttpd -D -f lighttpd.conf
	SERVER=$LAST_PID
	wait_until 60 curl -s -o /dev/null -m 5 "$URL/none"
}

spooled()
{
	find state/spool/new -type f | wc -l
}

@test "a signed delivery is spooled by the door alone, and listed" {
	lighttpd_start
	warm
	alone
	run -0 post one
	said '{"spooled":"one"}'$'\n202'
	[ "$(spooled)" = 2 ]
	[ "$(stat -c %a state/spool/new/*one* state/spool/new/* 2>/dev/null |
		sort -u)" = 600 ]
	# Whoever looks takes them in: no supervisor is needed.
	[ "$(forge-runner jobs -q '"\(.id) \(.state)"')" = "77 queued" ]
	[ "$(forge-webhook list -q '"\(.guid) \(.hook) \(.outcome)"' | sort)" = \
		"one hub stale
warm hub applied" ]
	[ "$(spooled)" = 0 ]
	run -0 post one
	said '{"spooled":"one"}'$'\n202'
	run -0 forge-webhook ingest --json
	[ "$output" = '{"taken":0,"duplicates":1,"bad":0}' ]
}

@test "a wrong signature is refused by the door alone" {
	lighttpd_start
	warm
	alone
	SIGNATURE=$(sign body other) run -0 post one
	said '{"error":"the signature does not match"}'$'\n401'
	[ "$(spooled)" = 1 ]
}

@test "the door knows the secrets of several sections, the last of each" {
	echo other >second
	printf '[github "two"]\n\twebhook-secret-file = %s\n' "$PWD/none" \
		>>state/config
	printf '\twebhook-secret-file = %s\n' "$PWD/second" >>state/config
	lighttpd_start
	warm
	alone
	SIGNATURE=$(sign body other) run -0 post two
	said '{"spooled":"two"}'$'\n202'
	[ "$(forge-webhook show two -q .hook)" = two ]
}

@test "what is unusual is for the whole program, with the same body" {
	lighttpd_start
	warm
	EVENT=ping run -0 post p
	said '{"ignored":"p"}'$'\n200'
	run -0 post 'no guid'
	said '{"error":"X-GitHub-Delivery is not 1 to 64 letters, digits, - and _"}'$'\n400'
	TYPE=text/plain run -0 post t
	said '{"error":"send application/json or application/x-www-form-urlencoded"}'$'\n415'
	SIGNATURE=none run -0 post t
	said '{"error":"X-Hub-Signature-256 is not '"'sha256='"' and 64 hexadecimal digits"}'$'\n401'
	jq -c '.filler = ("x" * 2000000)' body >large
	mv large body
	run -0 post large
	said '{"spooled":"large"}'$'\n202'
}

@test "a secret that cannot be read, and a spool that cannot be written" {
	lighttpd_start
	warm
	mv secret away
	run -0 post one
	said '{"error":"this server is not set up"}'$'\n503'
	mv away secret
	rm -r state/spool && touch state/spool
	run -0 post two
	said '{"applied":"two"}'$'\n202' || said '{"stale":"two"}'$'\n202'
}

@test "a new configuration is seen at once" {
	lighttpd_start
	warm
	echo changed >secret2
	printf '[github "hub"]\n\twebhook-secret-file = %s\n' \
		"$PWD/secret2" >state/config
	run -0 post one
	said '{"error":"the signature does not match"}'$'\n401'
	SIGNATURE=$(sign body changed) run -0 post one
	said '{"spooled":"one"}'$'\n202'
}

@test "what is spooled and is no job goes to spool/bad" {
	lighttpd_start
	warm
	echo '{"action":"queued"}' >body
	run -0 post odd
	said '{"spooled":"odd"}'$'\n202'
	run -0 forge-webhook ingest --json
	[ "$output" = '{"taken":1,"duplicates":0,"bad":1}' ] ||
		[[ $output == *'{"taken":1,"duplicates":0,"bad":1}' ]]
	[ "$(find state/spool/bad -type f | wc -l)" = 1 ]
}
