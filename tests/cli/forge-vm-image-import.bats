#!/usr/bin/env bats
# forge-vm image import: what skopeo and umoci write, tar files, an initramfs;
# and archives that mean harm.

# Tests are subshells, run sets stderr, and a dollar in quotes is for sh.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154
bats_require_minimum_version 1.5.0
load lib
load images

setup_file()
{
	cd "$BATS_FILE_TMPDIR" || return 1
	"$BATS_TEST_DIRNAME/../oci.sh" >log 2>&1
}

setup()
{
	common_setup
	export FORGE_CONFIG=/dev/null
	MADE=$BATS_FILE_TMPDIR
}

teardown() { common_teardown; }

# A kernel without modules: quick, and enough for what is not booted.
import()
{
	local from
	from=$("$ROOT/tests/images.sh" "$BUILD" 3>&- 4>&-) || return 1
	forge-vm image import --kernel "$from/image/busybox/kernel" "$@"
}

# "NAME TYPE MODE OWNER" of everything in an image's root
listing()
{
	unsquashfs -lln "$FORGE_STATE/image/$1/root" |
		sed -n 's|^\([^ ]*\) *\([0-9]*/[0-9]*\) .* squashfs-root/|\1 \2 |p'
}

content() { unsquashfs -cat "$FORGE_STATE/image/$1/root" "$2"; }

# refused LINE ARG...: status 1, that line, and nothing is left
refused()
{
	local line=$1
	shift
	run -1 --separate-stderr import "$@"
	[ "$output" = "" ]
	[ "$stderr" = "forge-vm: $line" ]
	[ -z "$(ls -A "$FORGE_STATE/image")" ]
	[ -z "$(forge-vm image list --json)" ]
}

# hostile FILE: a tar file from python's words on stdin, add(NAME, **FIELDS)
hostile()
{
	python3 - "$1" 3>&- <<-PY
	import io, sys, tarfile
	out = tarfile.open(sys.argv[1], "w", format=tarfile.PAX_FORMAT)
	def add(name, data=b"", **fields):
	    t = tarfile.TarInfo(name)
	    t.size = len(data)
	    for k, v in fields.items():
	        setattr(t, k, v)
	    out.addfile(t, io.BytesIO(data))
	SYM, HARD, DIR = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE
	$(cat)
	out.close()
	PY
}

@test "import: an OCI layout, its archive and docker's are one image" {
	run -0 --separate-stderr import "$MADE/oci" a
	[[ $output =~ ^a\ sha256:[0-9a-f]{64}$ ]]
	[ "$stderr" = "" ]
	import "$MADE/app.oci.tar" b >/dev/null
	sleep 1.1
	import "$MADE/app.docker.tar" c >/dev/null
	run -0 forge-vm image list -q .base
	[ "$output" = "oci
oci
docker" ]
	[ "$(forge-vm image list -q .digest | sort -u | wc -l)" = 1 ]
}

@test "import: how to run it is kept" {
	import "$MADE/oci" a >/dev/null
	run -0 forge-vm image show a -q '.manifest | [.env, .entrypoint,
		.cmd, .user, .workdir, .rootfs]'
	[ "$output" = '[["FOO=bar","GREET=hello world"],["/bin/sh","-c"],["id -u; pwd; echo \"$FOO, $GREET\""],"u","/home/u","squashfs"]' ]
	[ "$(forge-vm image show a -q .manifest.source_digest)" = \
		"$(jq -r '.manifests[0].digest' "$MADE/oci/index.json")" ]
}

@test "import: whiteouts hide what lower layers have, and only that" {
	import "$MADE/oci" a >/dev/null
	run -0 listing a
	[ "$(grep ' etc/' <<<"$output")" = \
"-rw-r--r-- 0/0 etc/deux
-rw-r--r-- 0/0 etc/group
drwxr-xr-x 0/0 etc/old
-rw-r--r-- 0/0 etc/old/z
-rw-r--r-- 0/0 etc/one
-rw-r--r-- 0/0 etc/passwd
-rw-r--r-- 0/0 etc/two" ]
	[ "$(grep ' opt' <<<"$output")" = "drwxr-xr-x 0/0 opt" ]
	[ "$(grep ' home/u$' <<<"$output")" = "drwx------ 1000/1000 home/u" ]
	[ "$(content a etc/deux)" = two ]
	# there for the guest, though no layer has them
	[ "$(grep -cE ' (dev|proc|sys|run|tmp)$' <<<"$output")" = 5 ]
}

@test "import: a guest runs it as it says, and as we say" {
	use_cache
	forge-vm image import "$MADE/oci" app >/dev/null
	run -0 forge-vm run -i app --net none
	[ "$output" = "1000
/home/u
bar, hello world" ]
	forge-vm start -i app --net none --name v >/dev/null
	run -0 forge-vm exec v -- sh -c 'id -u; pwd; echo "$FOO"; cat /etc/two'
	[ "$output" = "1000
/home/u
bar
two" ]
	run -0 forge-vm exec -u 0 -w /etc -e FOO=ours -e X=y v -- \
		sh -c 'id -u; pwd; echo "$FOO $X $GREET"'
	[ "$output" = "0
/etc
ours y hello world" ]
	run -0 forge-vm exec -u 0 v -- sh -c 'echo new >/etc/one; cat /etc/one'
	[ "$output" = new ]
	forge-vm destroy v
}

@test "import: a tar file, also compressed and from stdin" {
	tar -C "$MADE/l1" -cf r.tar .
	gzip -k r.tar
	zstd -q r.tar 2>/dev/null || cp r.tar.gz r.tar.zst
	import r.tar a >/dev/null
	import r.tar.gz b >/dev/null
	import r.tar.zst c >/dev/null
	import - d <r.tar >/dev/null
	gzip -dc r.tar.gz | import - e >/dev/null
	[ "$(forge-vm image list -q .base | sort -u)" = tar ]
	[ "$(forge-vm image list -q .digest | sort -u | wc -l)" = 1 ]
	[ "$(content a etc/one)" = one ]
	# a name that begins like a whiteout is just a name here
	mkdir w && touch w/.wh.x
	tar -C w -cf w.tar .
	import w.tar w >/dev/null
	listing w | grep -q ' .wh.x$'
}

@test "import: built twice from the same, it has the same digest" {
	tar -C "$MADE/l1" -cf r.tar .
	import r.tar a >one
	sleep 1.1
	import --replace r.tar a >two
	cmp one two
	export SOURCE_DATE_EPOCH=1700000000
	import --replace r.tar a >three
	touch -d @1 "$MADE/l1/etc/one"
	tar -C "$MADE/l1" -cf r.tar .
	import --replace r.tar a >four
	cmp three four
	touch -d @1000000000 "$MADE/l1/etc/one"
}

@test "import: hard links, devices, capabilities and odd names stay" {
	mkdir -p r/dev
	echo x >r/one
	ln r/one r/two
	mknod r/dev/n c 1 3
	printf x >"r/grüße $(printf '\303\244')"
	cp "$(command -v busybox)" r/ping
	setcap cap_net_raw+ep r/ping
	tar -C r --xattrs --xattrs-include='*' -cf r.tar .
	import r.tar a >/dev/null
	unsquashfs -q -n -d x "$FORGE_STATE/image/a/root" >/dev/null
	[ x/one -ef x/two ]
	[ "$(stat -c %t:%T x/dev/n)" = 1:3 ]
	[ -e "x/grüße ä" ]
	[ "$(getcap x/ping)" = "x/ping cap_net_raw=ep" ]
}

@test "import: --ref chooses one of several" {
	run -0 import "$MADE/two" --ref app a
	run -2 --separate-stderr import "$MADE/two" b
	[[ $stderr == "forge-vm: '$MADE/two': several images are in it, \
--ref chooses one: app, other"* ]]
	run -3 --separate-stderr import "$MADE/two" --ref none b
	[ "$stderr" = "forge-vm: '$MADE/two': no image named none for \
linux/amd64 in it; there is app, other" ]
	[ "$(forge-vm image list -q .name)" = a ]
}

@test "import: a kernel and its initramfs" {
	local from deb
	from=$("$ROOT/tests/images.sh" "$BUILD" 3>&- 4>&-)
	deb=$(ls "$from"/cache/linux-image-*.deb)
	dpkg-deb --fsys-tarfile "$deb" | tar x ./boot ./lib/modules
	mkdir -p i/bin i/dev i/proc i/sys i/run i/tmp i/etc
	cp "$(command -v busybox)" i/bin/sh
	cp i/bin/sh i/bin/cat
	echo 'from the initramfs' >i/etc/motd
	echo 'echo never' >i/init
	(cd i && find . | busybox cpio -o -H newc 2>/dev/null | gzip) >i.gz
	forge-vm image import --kernel boot/vmlinuz-* --initramfs i.gz \
		--modules lib/modules/* pair >/dev/null
	run -0 forge-vm run -i pair --net none -- cat /etc/motd
	[ "$output" = "from the initramfs" ]
	[ "$(forge-vm image show pair -q '.base, .manifest.rootfs')" = \
"initramfs
null" ]
	echo garbage >bad
	run -1 --separate-stderr import --initramfs bad x
	[ "$stderr" = "forge-vm: 'bad' is no initramfs: neither a cpio \
archive (newc) nor a compressed one" ]
}

@test "import: what makes no sense is refused before anything is done" {
	touch f
	local try=$'\n'"Try 'forge-vm image import --help'."
	run -2 --separate-stderr forge-vm image import f
	[ "$stderr" = "forge-vm: SOURCE and NAME are needed$try" ]
	run -2 forge-vm image import f ../x
	run -2 --separate-stderr forge-vm image import --initramfs f x
	[ "$stderr" = "forge-vm: --initramfs needs --kernel: the two are a \
pair$try" ]
	run -2 forge-vm image import --max-size lots f x
	run -3 --separate-stderr forge-vm image import none x
	[ "$stderr" = "forge-vm: cannot open 'none': No such file or \
directory" ]
	run -2 forge-vm image import /dev/null x
	[ -z "$(ls -A "$FORGE_STATE/image" 2>/dev/null)" ]
}

@test "import: what is no archive, or half of one" {
	head -c 100000 /dev/urandom >r
	refused "r: Unrecognized archive format" r x
	tar -C "$MADE/l1" -czf r.tar.gz .
	head -c 100000 r.tar.gz >half
	run -1 --separate-stderr import half x
	[[ $stderr == "forge-vm: half: "* ]]
	[ "$(wc -l <<<"$stderr")" = 1 ]
	mkdir d
	refused "'d' is no OCI layout: it has no oci-layout and index.json" d x
}

@test "hostile: names that lead out" {
	hostile h.tar <<<'add("../../../tmp/forge-evil", b"x")'
	refused "h.tar: the name '../../../tmp/forge-evil' leads out of the \
archive" h.tar x
	hostile h.tar <<<'add("a/../../b", b"x")'
	refused "h.tar: the name 'a/../../b' leads out of the archive" h.tar x
	hostile h.tar <<<'add("/" * 3 + "etc/x", b"inside")'
	import h.tar abs >/dev/null
	[ "$(content abs etc/x)" = inside ]
	[ ! -e /etc/x ]
}

@test "hostile: links that lead out" {
	hostile h.tar <<<'add("a", type=SYM, linkname="/tmp"); add("a/evil", b"x")'
	refused "h.tar: the name 'a/evil' leads through 'a', which is no \
directory" h.tar x
	hostile h.tar <<<'add("a", type=HARD, linkname="../../etc/passwd")'
	refused "h.tar: the name '../../etc/passwd' leads out of the archive" \
		h.tar x
	hostile h.tar <<<'add("a", type=HARD, linkname="/etc/passwd")'
	refused "h.tar: 'a' is a hard link to '/etc/passwd', which is no file \
of the archive" h.tar x
	# in a layer, too
	hostile l.tar <<<'add("etc", type=SYM, linkname="/etc"); add("etc/x", b"")'
	cp -r "$MADE/oci" o
	HOME=$PWD umoci raw add-layer --image o:app l.tar
	run -1 --separate-stderr import o x
	[[ $stderr =~ ^"forge-vm: layer "[0-9a-f]{12}": the name 'etc/x' leads \
through 'etc', which is no directory"$ ]]
}

@test "hostile: bombs" {
	hostile h.tar <<<'add("zero", b"0" * 4000000)'
	gzip h.tar
	refused "h.tar.gz: more than 1M when unpacked (--max-size)" \
		--max-size 1M h.tar.gz x
	# 1 PiB that is all hole
	truncate -s 1P sparse 2>/dev/null || truncate -s 15T sparse
	tar -S -cf h.tar sparse
	refused "h.tar: more than 16G when unpacked (--max-size)" h.tar x
	hostile h.tar <<<'add("a/" * 300 + "b")'
	run -1 --separate-stderr import h.tar x
	[[ $stderr == "forge-vm: h.tar: the name 'a/a/"*"...' has more than \
200 parts" ]]
	refused "stdin: more than 1M (--max-size)" --max-size 1M - x \
		< <(head -c 9000000 /dev/zero)
	tar -cf h.tar -C "$MADE/oci" .
	refused "h.tar: more than 100K when unpacked (--max-size)" \
		--max-size 100K h.tar x
}

@test "hostile: blobs that are not what they should be" {
	cp -r "$MADE/oci" o
	local blob
	blob=$(find o/blobs -type f -size +100k | head -n 1)
	printf x | dd of="$blob" bs=1 seek=5000 conv=notrunc status=none
	refused "'o': blob $(basename "$blob" | cut -c1-12) has not the \
content that its name says" o x
	echo >>"$blob"
	run -1 --separate-stderr import o x
	[[ $stderr =~ has\ [0-9]+\ bytes\ instead\ of\ [0-9]+$ ]]
	rm "$blob"
	run -3 --separate-stderr import o x
	[ "$stderr" = "forge-vm: 'o': blob $(basename "$blob" | cut -c1-12) \
is missing" ]
	ln -s /etc/passwd "$blob"
	run -1 --separate-stderr import o x
	[[ $stderr == *" is no file" ]]
}

@test "hostile: manifests" {
	mkdir o && echo '{"imageLayoutVersion":"1.0.0"}' >o/oci-layout
	local d m
	index() { jq -nc "$1" >o/index.json; }
	index '{manifests: [{digest: "sha256:../../../../etc/passwd"}]}'
	refused "'o': 'sha256:../../../../etc/passwd' is no sha256 digest" o x
	index '{manifests: {"a": 1}}'
	run -3 --separate-stderr import o x
	[ "$stderr" = "forge-vm: 'o': no image for linux/amd64 in it" ]
	index '[[[]]]'
	run -3 import o x
	echo '{' >o/index.json
	run -1 --separate-stderr import o x
	[[ $stderr == "forge-vm: 'o': 'index.json': "* ]]
	# an index that names itself could not be hashed; a chain can be long
	mkdir -p o/blobs/sha256
	m='{}'
	for _ in 1 2 3 4 5; do
		d=$(printf %s "$m" | sha256sum | cut -d' ' -f1)
		printf %s "$m" >"o/blobs/sha256/$d"
		m='{"manifests":[{"digest":"sha256:'$d'"}]}'
	done
	printf %s "$m" >o/index.json
	refused "'o': its indexes lie too deep" o x
	# another machine's
	cp -r "$MADE/oci" p
	jq -c '.manifests[0].platform = {os: "linux", architecture: "arm64"}' \
		p/index.json >i && mv i p/index.json
	run -3 --separate-stderr import p x
	[ "$stderr" = "forge-vm: 'p': no image for linux/amd64 in it" ]
}

@test "import: killed at any point, fsck undoes or finishes it" {
	tar -C "$MADE/l1" -cf r.tar .
	import r.tar a >/dev/null
	local n
	for n in 0.02 0.05 0.1 0.15 0.2 0.3; do
		timeout -s KILL "$n" forge-vm image import --replace r.tar a \
			--kernel "$FORGE_STATE/image/a/kernel" || :
		wait_until 60 sh -c 'forge-vm fsck >/dev/null &&
			[ "$(ls -A "$FORGE_STATE/image")" = a ]'
		[ "$(forge-vm image list -q .state)" = ready ]
	done
}

@test "import: progress on a terminal only" {
	tar -C "$MADE/l1" -cf r.tar .
	import r.tar a 2>err >/dev/null
	[ ! -s err ]
	from=$("$ROOT/tests/images.sh" "$BUILD" 3>&- 4>&-)
	run -0 script -qec "forge-vm image import --replace r.tar a \
		--kernel $from/image/busybox/kernel" /dev/null
	[[ $output == *"layers     ["*"] 100%"* ]]
	[[ ${lines[-1]} == *"a sha256:"* ]]
}
