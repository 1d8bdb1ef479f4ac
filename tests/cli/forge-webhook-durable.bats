# What forge-webhook promises: a delivery that was acknowledged is not lost,
# and one that cannot be kept is not acknowledged.

# shellcheck disable=SC2016,SC2030,SC2031,SC2034,SC2154

load lib
load webhook

setup()
{
	webhook_setup
}

teardown()
{
	if [ -e mounted ]; then
		common_teardown
		umount "$(cat mounted)"
	fi
	common_teardown
}

# disk SIZE: state becomes a file system of that size
disk()
{
	[ "$(id -u)" = 0 ] || skip "only root may mount"
	mount -t tmpfs -o "size=$1,mode=700" tmpfs state ||
		skip "mounting is not allowed here"
	echo "$PWD/state" >mounted
	printf '[github "hub"]\n\twebhook-secret-file = %s\n' \
		"$PWD/secret" >state/config
	printf '[webhook]\n\tdirect = true\n' >>state/config
}

fill()
{
	dd if=/dev/zero of=state/filler bs=4096 2>/dev/null || :
}

@test "a full disk: refused with 503, and taken once there is room" {
	disk 4m
	lighttpd_start
	run -0 post first
	said '{"applied":"first"}'$'\n202'
	fill
	payload 78 queued >body
	run -0 post second -D headers
	said '{"error":"the delivery cannot be kept now"}'$'\n503'
	grep -qi '^Retry-After: 30' headers
	run -1 --separate-stderr forge-webhook accept --unsigned \
		--delivery second <body
	[ "$output" = "" ]
	[[ $stderr == "forge-webhook: "*"No space left on device"* ]]
	[ "${#stderr_lines[@]}" = 1 ]
	rm state/filler
	[ "$(find state/spool -type f | wc -l)" = 0 ]
	run -0 post second
	said '{"applied":"second"}'$'\n202'
	[ "$(sql 'SELECT count(*) FROM job')" = 2 ]
	[ "$(sql 'PRAGMA integrity_check')" = ok ]
}

@test "a damaged database: spooled, and kept until it is mended" {
	lighttpd_start
	head -c 8192 /dev/urandom >state/forge.db
	run -0 post kept
	said '{"spooled":"kept"}'$'\n202'
	run -7 forge-webhook ingest
	[ "$(find state/spool/new -type f | wc -l)" = 1 ]
	rm state/forge.db*
	run -0 --separate-stderr forge-webhook --json ingest
	said '{"taken":1,"duplicates":0,"bad":0}'
	[ "$(sql 'SELECT id FROM job')" = 77 ]
}

@test "neither database nor spool: 503, one line for the operator" {
	lighttpd_start
	head -c 8192 /dev/urandom >state/forge.db
	: >state/spool
	run -0 post lost
	said '{"error":"the delivery cannot be kept now"}'$'\n503'
	run -1 --separate-stderr forge-webhook accept --unsigned \
		--delivery lost <body
	[ "${#stderr_lines[@]}" = 1 ]
	[[ $stderr == *"forge.db"*"spool"* ]]
}

@test "ingest: the same spool twice, a duplicate, and what is none" {
	head -c 8192 /dev/urandom >state/forge.db
	forge-webhook accept --unsigned --delivery a <body
	forge-webhook accept --unsigned --delivery b <body
	cp -r state/spool/new again
	echo 'no delivery' >state/spool/new/0
	printf 'forge-delivery 1\ng\nworkflow_job\n\n1\n99\nshort' \
		>state/spool/new/1
	rm state/forge.db*
	run -0 --separate-stderr forge-webhook --json ingest
	said '{"taken":2,"duplicates":0,"bad":2}'
	[ "$stderr" = "forge-webhook: warning: 2 files that are no deliveries are now in spool/bad" ]
	cp again/* state/spool/new
	run -0 --separate-stderr forge-webhook --json ingest
	said '{"taken":0,"duplicates":2,"bad":0}'
	[ -z "$(ls state/spool/new)" ]
	[ "$(ls state/spool/bad)" = $'0\n1' ]
}

# Every 202 or 200 that a client saw must be in the database or the spool.
# Killed are forge-webhook's processes only, by the pid that lighttpd, whose
# children they are, gave them.
@test "kill -9 under load loses no delivery that was acknowledged" {
	lighttpd_start
	export URL SIG
	SIG=$(sign body)
	seq 400 | xargs -P 8 -I{} sh -c 'c=$(curl -s -o /dev/null -m 20 \
		-w "%{http_code}" -H "Content-Type: application/json" \
		-H "X-GitHub-Event: workflow_job" -H "X-GitHub-Delivery: k-{}" \
		-H "X-Hub-Signature-256: $SIG" --data-binary @body "$URL")
		echo "$c k-{}" >>codes' 3>&- 4>&- &
	local load=$! pid killed=0
	while kill -0 "$load" 2>/dev/null; do
		read -r pid _ <"/proc/$SERVER/task/$SERVER/children" || :
		[ -n "$pid" ] &&
			kill -KILL "$pid" 2>/dev/null &&
			killed=$((killed + 1))
		sleep 0.03
	done
	wait "$load" || :
	run -0 forge-webhook ingest
	sql 'SELECT guid FROM delivery ORDER BY guid' >have
	awk '$1 == 200 || $1 == 202 { print $2 }' codes | sort >promised
	[ -z "$(comm -23 promised <(sort have))" ]
	echo "killed $killed, promised $(wc -l <promised) of $(wc -l <codes)"
	[ "$(wc -l <codes)" = 400 ]
	[ "$killed" -gt 20 ]
	[ "$(wc -l <promised)" -gt 100 ]
	[ "$(wc -l <promised)" -lt 400 ]
	[ "$(sql 'PRAGMA integrity_check')" = ok ]
}

@test "inetd: the client reads the answer and nothing else" {
	inetd_start
	head -c 8192 /dev/urandom >state/forge.db
	run -0 --separate-stderr post kept
	said '{"spooled":"kept"}'$'\n202'
	exec 7<>"/dev/tcp/127.0.0.1/$(echo "$URL" | grep -o '[0-9]*/$' |
		tr -d /)"
	printf 'GET / HTTP/1.1\r\nHost: a\r\n\r\n' >&7
	run -0 cat <&7
	[ "${lines[0]}" = $'HTTP/1.1 405 Method Not Allowed\r' ]
	[ "${lines[-1]}" = '{"error":"only POST is answered here"}' ]
}

@test "size is looked at before the type, the type before the signature" {
	printf '[webhook]\n\tmax-body = 100\n' >>state/config
	inetd_start
	TYPE=text/plain SIGNATURE='' run -0 post ''
	said '{"error":"the body is too large"}'$'\n413'
	echo x >body
	TYPE=text/plain SIGNATURE='' run -0 post ''
	[[ $output == *415 ]]
	SIGNATURE=sha256=0 EVENT='' run -0 post ''
	[[ $output == *401 ]]
}
