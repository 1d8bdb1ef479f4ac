#!/bin/sh
# Installs the third-party programs of package.json (or NAME.json), at the
# versions pinned there, into BUILD/peer/node_modules (or BUILD/peer-NAME).
# Does nothing when they are there.
#
# usage: install.sh [NAME]     BUILD is build/ unless the environment says

set -eu

here=$(cd "$(dirname "$0")" && pwd)
peer=${BUILD:-$here/../../build}/peer${1:+-$1}
list=$here/${1:-package}.json

command -v npm >/dev/null || {
	echo "install.sh: npm is not installed: install nodejs and npm" >&2
	exit 1
}
mkdir -p "$peer"
exec 9>"$peer/lock"
flock 9
if cmp -s "$list" "$peer/package.json" &&
	[ -e "$peer/installed" ]; then
	exit 0
fi
rm -rf "$peer/installed" "$peer/node_modules" "$peer/github-openapi.json"
cp "$list" "$peer/package.json"
# npm's own list of authorities is not this machine's.
trusted=/etc/ssl/certs/ca-certificates.crt
if [ -z "${NODE_EXTRA_CA_CERTS-}" ] && [ -r "$trusted" ]; then
	export NODE_EXTRA_CA_CERTS=$trusted
fi
# A registry that hangs gets three chances of four minutes.
for try in 1 2 3; do
	timeout -k 5 240 npm install --prefix "$peer" --no-package-lock \
		--prefer-offline --ignore-scripts --no-audit --no-fund --loglevel=error \
		9>&- >"$peer/install.log" 2>&1 </dev/null && {
		: >"$peer/installed"
		exit 0
	}
	echo "install.sh: try $try of 3 failed" >&2
done
cat "$peer/install.log" >&2
exit 1
