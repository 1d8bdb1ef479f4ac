#!/bin/bash
# oci.sh: make images by umoci and skopeo in the current directory, for tests
# of `forge-vm image import`: oci/ (a layout with image app of two layers),
# app.oci.tar and app.docker.tar (the same), two/ (with another beside it),
# l1/ and l2/ (what is in the layers).
set -eu
export HOME=$PWD
mkdir -p l1/bin l1/etc/old l1/opt/gone l1/home/u l2/etc/old l2/opt
cp "$(command -v busybox)" l1/bin/
for name in sh echo id pwd cat ls test sleep; do
	ln l1/bin/busybox "l1/bin/$name"
done
for name in one old/x old/y; do
	echo "${name##*/}" >"l1/etc/$name"
done
echo f >l1/opt/gone/f
printf 'root:x:0:0::/root:/bin/sh\nu:x:1000:1000::/home/u:/bin/sh\n' \
	>l1/etc/passwd
printf 'root:x:0:\nu:x:1000:\n' >l1/etc/group
chown 1000:1000 l1/home/u
chmod 700 l1/home/u
# the upper layer: two names of one file, and whiteouts before and after
echo two >l2/etc/two
ln l2/etc/two l2/etc/deux
echo z >l2/etc/old/z
: >l2/etc/old/.wh..wh..opq
: >l2/opt/.wh.gone
tar -C l1 -cf l1.tar .
tar -C l2 -cf l2.tar .
umoci init --layout oci
umoci new --image oci:app
umoci raw add-layer --image oci:app l1.tar
umoci raw add-layer --image oci:app l2.tar
# shellcheck disable=SC2016 # for the shell in the image
umoci config --image oci:app --config.user u --config.workingdir /home/u \
	--config.env FOO=bar --config.env 'GREET=hello world' \
	--config.entrypoint /bin/sh --config.entrypoint -c \
	--config.cmd 'id -u; pwd; echo "$FOO, $GREET"'
umoci gc --layout oci
skopeo --insecure-policy copy oci:oci:app oci-archive:app.oci.tar:app
skopeo --insecure-policy copy oci:oci:app docker-archive:app.docker.tar:app:1
cp -r oci two
umoci tag --image two:app other
