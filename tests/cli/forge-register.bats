#!/usr/bin/env bats
# forge-register: its promises, checked by the TLS stacks of others: OpenSSL,
# GnuTLS (certtool) and, where it is installed, Go.

# Tests are subshells, and run sets stderr.
# shellcheck disable=SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load lib

setup()
{
	common_setup
	export FORGE_CONFIG=/dev/null
}

teardown() { common_teardown; }

# request NAME [OPTION...]: NAME.key and NAME.csr
request()
{
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-keyout "$1.key" -subj "/CN=$1" -out "$1.csr" "${@:2}" 2>/dev/null
}

# ca [OPTION...]: a CA, and ca.pem
ca()
{
	forge-register ca init "$@" >/dev/null
	forge-register ca show --pem >ca.pem
}

# verify CERT PURPOSE [OPTION...]: OpenSSL as strict as it can be
verify()
{
	openssl verify -x509_strict -CAfile ca.pem -purpose "$2" "${@:3}" "$1"
}

serial_of()
{
	openssl x509 -in "$1" -noout -serial | cut -d= -f2
}

# bundle_field BUNDLE KEY
bundle_field()
{
	python3 -c 'import base64, json, sys
b = sys.argv[1]
assert b.startswith("kfr1_") and "=" not in b
b = b[5:]
text = base64.urlsafe_b64decode(b + "=" * (-len(b) % 4)).decode()
o = json.loads(text)
# as serde_json writes a map: sorted, no spaces
assert text == json.dumps(o, sort_keys=True, separators=(",", ":"),
	ensure_ascii=False), text
print(o.get(sys.argv[2], "(none)"), end="")' "$1" "$2"
}

@test "ca init: files, modes, and never a second time" {
	run -0 --separate-stderr forge-register ca init --org Acme -q .name
	[ "$output" = "Acme CA" ]
	[ "$stderr" = "" ]
	[ "$(stat -c '%a %n' state/trust state/trust/* | sort)" = \
		"600 state/trust/ca.key
600 state/trust/server.key
644 state/trust/ca.crt
644 state/trust/crl.pem
644 state/trust/server.crt
700 state/trust" ]
	sha256sum state/trust/* >sums
	run -4 --separate-stderr forge-register ca init
	[ "$output" = "" ]
	[ "$stderr" = "forge-register: there is a CA in '$PWD/state/trust' already" ]
	sha256sum --quiet -c sums
	openssl x509 -in state/trust/ca.crt -noout -text >text
	grep -q 'ASN1 OID: prime256v1' text
	grep -q 'Subject: CN = Acme CA, O = Acme' text
	[ "$(grep -A1 'Basic Constraints: critical' text | tail -n 1 |
		tr -d ' ')" = "CA:TRUE,pathlen:1" ]
	[ "$(($(date -d "$(openssl x509 -in state/trust/ca.crt -noout \
		-enddate | cut -d= -f2)" +%s) - $(date +%s)))" -gt \
		$((3649 * 86400)) ]
	grep -q 'BEGIN PRIVATE KEY' state/trust/ca.key
}

@test "without a CA: status 3, and what to do" {
	request web
	for verb in 'ca show' 'ca rotate' 'token create' 'sign web.csr' crl \
		'cert renew server'; do
		# shellcheck disable=SC2086 # words
		run -3 --separate-stderr forge-register $verb
		[ "$output" = "" ]
		[ "$stderr" = "forge-register: there is no CA; make one with 'forge-register ca init'" ]
	done
	ca
	rm state/trust/ca.key
	run -3 --separate-stderr forge-register sign web.csr
	[ "$stderr" = "forge-register: '$PWD/state/trust/ca.key' is missing: restore it from a backup" ]
	run -4 forge-register ca init
}

@test "sign: OpenSSL, GnuTLS and Go accept the certificate" {
	ca
	request Web_1.example
	forge-register sign Web_1.example.csr >web.crt
	[ "$(verify web.crt sslclient)" = "web.crt: OK" ]
	run -2 verify web.crt sslserver
	verify state/trust/server.crt sslserver -verify_hostname localhost
	run -2 verify state/trust/server.crt sslclient
	certtool --verify --verify-profile high --load-ca-certificate ca.pem \
		--infile web.crt --verify-purpose 1.3.6.1.5.5.7.3.2 \
		>certtool.out 2>&1 || { cat certtool.out; false; }
	certtool --verify --verify-hostname localhost --load-ca-certificate \
		ca.pem --infile state/trust/server.crt \
		--verify-purpose 1.3.6.1.5.5.7.3.1 >certtool.out 2>&1 ||
		{ cat certtool.out; false; }
	openssl x509 -in web.crt -noout -text >text
	grep -qE 'Subject: CN = agent_vm_web-1-example_[0-9a-z]{8}, O = CI Runner Agent' text
	grep -qE 'DNS:agent_vm_web-1-example_[0-9a-z]{8}$' text
	grep -q 'TLS Web Client Authentication' text
	[[ $(serial_of web.crt) =~ ^[0-9A-F]{32}$ ]]
	# the key is that of the request
	[ "$(openssl x509 -in web.crt -noout -pubkey)" = \
		"$(openssl pkey -in Web_1.example.key -pubout)" ]
}

@test "sign: Go accepts the certificate" {
	local go
	go=$(PATH=$PATH:/usr/local/go/bin command -v go) ||
		skip "go is not installed"
	ca
	request web
	forge-register sign web.csr >web.crt
	mkdir go
	cat >go/main.go <<-'END'
	package main

	import (
		"crypto/x509"
		"encoding/pem"
		"fmt"
		"os"
	)

	func check(file string, usage x509.ExtKeyUsage, host string) {
		ca, _ := os.ReadFile("ca.pem")
		roots, below := x509.NewCertPool(), x509.NewCertPool()
		roots.AppendCertsFromPEM(ca)
		text, _ := os.ReadFile(file)
		block, rest := pem.Decode(text)
		below.AppendCertsFromPEM(rest)
		crt, err := x509.ParseCertificate(block.Bytes)
		if err == nil {
			_, err = crt.Verify(x509.VerifyOptions{Roots: roots,
				Intermediates: below, DNSName: host,
				KeyUsages: []x509.ExtKeyUsage{usage}})
		}
		fmt.Println(file, err)
	}

	func main() {
		check("web.crt", x509.ExtKeyUsageClientAuth, "")
		check("web.crt", x509.ExtKeyUsageServerAuth, "")
		check("state/trust/server.crt", x509.ExtKeyUsageServerAuth,
			"localhost")
	}
	END
	(cd go && GOCACHE=$PWD/cache GOPATH=$PWD/path GO111MODULE=off \
		timeout 300 "$go" build -o ../check main.go)
	run -0 ./check
	[ "${lines[0]}" = "web.crt <nil>" ]
	[[ ${lines[1]} == "web.crt x509: certificate specifies an incompatible key usage"* ]]
	[ "${lines[2]}" = "state/trust/server.crt <nil>" ]
}

@test "sign: hostile requests" {
	ca
	# names and extensions do not get through
	request 'x' -addext 'basicConstraints=critical,CA:TRUE' \
		-addext 'subjectAltName=DNS:evil.example' \
		-addext 'extendedKeyUsage=serverAuth' \
		-subj '/CN=..\/a,DNS:evil/O=Evil Corp'
	forge-register sign x.csr >x.crt
	openssl x509 -in x.crt -noout -text >text
	grep -q 'CA:FALSE' text
	[ "$(grep -ci evil.example text)" = 0 ]
	[ "$(grep -c 'Evil Corp' text)" = 0 ]
	[ "$(grep -c 'TLS Web Server' text)" = 0 ]
	grep -qE 'CN = agent_vm_a-dns-evil_[0-9a-z]{8}, O = CI Runner Agent' text
	# keys that are too weak or too strange
	openssl req -newkey rsa:1024 -nodes -keyout k -subj /CN=x -out weak \
		2>/dev/null
	run -1 --separate-stderr forge-register sign weak
	[ "$output" = "" ]
	[ "$stderr" = "forge-register: the certificate request needs a key of ECDSA P-256 or P-384, Ed25519, or RSA with 2048 to 4096 bits" ]
	request x -sha1
	run -1 --separate-stderr forge-register sign x.csr
	[ "$stderr" = "forge-register: the certificate request must be signed with SHA-256 or better" ]
	# not one at all
	head -c 20000 /dev/zero >zero
	run -8 --separate-stderr forge-register sign zero
	head -c 200 /dev/urandom >noise
	run -1 --separate-stderr forge-register sign noise
	[ "$stderr" = "forge-register: the certificate request is not one in PEM or DER form" ]
	run -3 forge-register sign absent
	run -2 forge-register sign x.csr --for bsd
	[ "$(forge-register agent list -q .id | wc -l)" = 1 ]
}

@test "token create: a bundle as kuiper-forge has it" {
	ca
	run -0 --separate-stderr forge-register token create \
		--url https://ci.example:9443
	[ "$stderr" = "" ]
	[ "${#lines[@]}" = 1 ]
	bundle=$output
	[[ $(bundle_field "$bundle" t) =~ ^reg_[0-9A-Za-z]{32}$ ]]
	[ "$(bundle_field "$bundle" u)" = https://ci.example:9443 ]
	[ "$(bundle_field "$bundle" m)" = ca ]
	[ "$(bundle_field "$bundle" ca)" = "$(cat ca.pem)" ]
	bundle=$(forge-register token create --public-ca -q .bundle)
	[ "$(bundle_field "$bundle" m)" = chain ]
	[ "$(bundle_field "$bundle" ca)" = "(none)" ]
	[ "$(bundle_field "$bundle" u)" = "https://$(hostname):9443" ]
	# the listener is known by the name that agents dial
	verify state/trust/server.crt sslserver -verify_hostname ci.example
	printf '[agents]\n\turl = https://[::2]:1\n' >state/config
	[ "$(bundle_field "$(forge-register token create)" u)" = 'https://[::2]:1' ]
	verify state/trust/server.crt sslserver -verify_ip ::2
	# and stays known by it
	verify state/trust/server.crt sslserver -verify_hostname ci.example
	run -2 --separate-stderr forge-register token create --url http://x
	[ "${stderr_lines[0]}" = \
		"forge-register: URL 'http://x' is not https://HOST[:PORT]" ]
	run -2 forge-register token create --ttl 0s
	run -2 forge-register token create --for linux
}

@test "token list and revoke; nothing secret is stored or listed" {
	ca
	bundle=$(forge-register token create --for tart --ttl 30m)
	token=$(bundle_field "$bundle" t)
	run -0 forge-register token list -q '.kind, .state, .expires_at - .created_at'
	[ "$output" = "tart
good
1800000" ]
	id=$(forge-register token list -q .id)
	[ "$(forge-register token list --json | grep -c "$token")" = 0 ]
	[ "$(forge-watch events --json | grep -c "$token")" = 0 ]
	[ "$(cat state/forge.db state/forge.db-wal | grep -c -a "$token")" = 0 ]
	run -0 --separate-stderr forge-register token revoke "$id"
	[ "$output$stderr" = "" ]
	run -0 forge-register token list
	[ "$output" = "" ]
	[ "$(forge-register token list --all -q .state)" = revoked ]
	run -4 --separate-stderr forge-register token revoke "$token"
	[ "$stderr" = "forge-register: token '$id' was used or revoked already" ]
	run -3 forge-register token revoke nothing
}

@test "cert: list, show, renew, revoke; the CRL follows" {
	ca
	request web
	forge-register sign web.csr --ttl 2d >web.crt
	serial=$(serial_of web.crt)
	[ "$(forge-register cert list -q 'select(.kind == "agent") | .serial')" = \
		"${serial,,}" ]
	[ "$(forge-register cert show --pem "$serial")" = "$(cat web.crt)" ]
	forge-register cert renew "$serial" >next.crt
	[ "$(serial_of next.crt)" != "$serial" ]
	[ "$(openssl x509 -in next.crt -noout -pubkey -subject)" = \
		"$(openssl x509 -in web.crt -noout -pubkey -subject)" ]
	verify web.crt sslclient -crl_check -CRLfile state/trust/crl.pem
	run -0 --separate-stderr forge-register cert revoke --reason lost \
		"$serial"
	[ "$output$stderr" = "" ]
	run -2 verify web.crt sslclient -crl_check -CRLfile state/trust/crl.pem
	[[ $output == *"certificate revoked"* ]]
	verify next.crt sslclient -crl_check -CRLfile state/trust/crl.pem
	run -1 certtool --verify --load-ca-certificate ca.pem --infile web.crt \
		--load-crl state/trust/crl.pem
	[ "$(forge-register cert show "$serial" -q '.state, .reason')" = \
		"revoked
lost" ]
	run -4 --separate-stderr forge-register cert revoke "$serial"
	run -4 --separate-stderr forge-register cert renew "$serial"
	[ "$stderr" = "forge-register: certificate '${serial,,}' or its agent is revoked" ]
	run -3 forge-register cert revoke 12ab
	run -3 forge-register cert show zz
	# the agent, with all that it has
	forge-register agent revoke "$(forge-register agent list -q .id)"
	run -2 verify next.crt sslclient -crl_check -CRLfile state/trust/crl.pem
	[ "$(forge-register agent list)" = "" ]
	[ "$(forge-register agent list --all -q .state)" = revoked ]
	[ "$(forge-watch events -q 'select(.kind | test("revoked")) | .kind' |
		sort | uniq -c | awk '{ print $1, $2 }')" = "1 agent.revoked
2 cert.revoked" ]
	# numbers of CRLs grow
	forge-register crl >crl
	cmp crl state/trust/crl.pem
	[ "$(openssl crl -in crl -noout -crlnumber | cut -d= -f2)" = 0x04 ]
	[ "$(openssl crl -in crl -noout -text | grep -c 'Serial Number')" = 2 ]
	openssl crl -in crl -CAfile ca.pem -noout
}

@test "ca rotate: old and new are trusted, each by those who know one" {
	ca
	cp ca.pem old.pem
	request web
	forge-register sign web.csr >web.crt
	run -0 forge-register ca rotate --overlap 1h -q .state
	[ "$output" = "signs
trusted" ]
	forge-register ca show --pem >ca.pem
	[ "$(grep -c BEGIN ca.pem)" = 2 ]
	verify web.crt sslclient
	request new
	forge-register sign new.csr >new.crt
	forge-register ca show -q 'select(.state == "signs") | .pem' >new.pem
	for known in old.pem new.pem ca.pem; do
		openssl verify -x509_strict -CAfile $known -untrusted new.crt \
			-purpose sslclient new.crt
		openssl verify -x509_strict -CAfile $known -purpose sslserver \
			-untrusted state/trust/server.crt -verify_hostname \
			localhost state/trust/server.crt
	done
	certtool --verify --load-ca-certificate old.pem --infile new.crt >/dev/null
	# each has a CRL, and each can be revoked
	forge-register cert revoke "$(serial_of web.crt)"
	run -2 verify web.crt sslclient -crl_check -CRLfile state/trust/crl.pem
	verify new.crt sslclient -crl_check -CRLfile state/trust/crl.pem
	run -4 --separate-stderr forge-register ca rotate
	[ "$stderr" = "forge-register: the CA before this one is still trusted: see 'forge-register ca show'" ]
	# the end of the overlap, and of the old key
	[ "$(find state/trust -name 'ca-old-*' | wc -l)" = 1 ]
	sqlite3 state/forge.db 'UPDATE ca SET trusted_until = 1
		WHERE trusted_until IS NOT NULL'
	forge-register crl >/dev/null
	[ "$(find state/trust -name 'ca-old-*' | wc -l)" = 0 ]
	forge-register ca show --pem >ca.pem
	run -2 verify web.crt sslclient
	forge-register ca rotate --overlap 0 >/dev/null
	[ "$(forge-register ca show --pem | grep -c BEGIN)" = 1 ]
}

@test "ca init --key-in: an intermediate below an offline root" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes \
		-keyout root.key -out root.crt -days 7000 -subj /CN=Root \
		-addext basicConstraints=critical,CA:TRUE \
		-addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
	cat root.key root.crt >root.pem
	ca --key-in root.pem
	cmp ca.pem root.crt
	[ "$(cat state/trust/* | grep -c "$(sed -n 2p root.key)")" = 0 ]
	request web
	forge-register sign web.csr >web.crt
	openssl verify -x509_strict -CAfile root.crt -untrusted web.crt \
		-purpose sslclient web.crt
	openssl verify -x509_strict -CAfile root.crt -purpose sslserver \
		-untrusted state/trust/server.crt state/trust/server.crt
	run -1 --separate-stderr forge-register ca rotate
	[ "$stderr" = "forge-register: this CA is an intermediate: give its root's key with --key-in" ]
	forge-register ca rotate --key-in root.key >/dev/null
	forge-register sign web.csr >again.crt
	openssl verify -x509_strict -CAfile root.crt -untrusted again.crt \
		-purpose sslclient again.crt
	# a certificate that is no CA's
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-keyout leaf.key -out leaf.crt -subj /CN=Leaf \
		-addext basicConstraints=critical,CA:FALSE 2>/dev/null
	cat leaf.key leaf.crt >leaf.pem
	run -1 forge-register -C other ca init --key-in leaf.pem
	run -1 forge-register -C other ca init --key-in root.crt
	[ ! -e other/trust/ca.key ]
}

@test "killed between files and rows: the next command puts it right" {
	ca
	request web
	forge-register sign web.csr >web.crt
	# a revocation is on record, its CRL is not written yet
	sqlite3 state/forge.db "UPDATE cert SET revoked_at = 1
		WHERE kind = 'agent'; UPDATE ca SET crl_due = crl_due + 1"
	forge-register ca show >/dev/null
	run -2 verify web.crt sslclient -crl_check -CRLfile state/trust/crl.pem
	# the new CA's key is in place, its row and its certificate are not
	cp -a state before
	forge-register ca rotate >/dev/null
	cp state/trust/ca.key before/trust/
	cp state/trust/ca-old-* before/trust/
	export FORGE_STATE=$PWD/before
	[ "$(forge-register ca show -q .state)" = "signs
trusted" ]
	cmp state/trust/ca.crt before/trust/ca.crt
	[ "$(grep -c BEGIN before/trust/crl.pem)" = 2 ]
	# it was about to hand over, and did not: the old one signs on
	sqlite3 before/forge.db 'UPDATE ca SET trusted_until = 9e12
		WHERE trusted_until IS NULL'
	[ "$(forge-register ca show -q .state | head -n 1)" = signs ]
	# server.key is damaged: a new one
	echo >before/trust/server.key
	forge-register token create >/dev/null
	openssl pkey -in before/trust/server.key -noout
}
