#!/usr/bin/env bash
# Assembles BUNDLE/rootfs from Debian's busybox-static and the bundle's own files in BUNDLE/files.
# Does nothing when it is up to date. The rootfs is made aside and renamed: it is there whole or not at all.
#
#     fixture.sh BUNDLE

# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

(($# == 1)) || fail "usage: fixture.sh BUNDLE"
bundle=${1%/}
rootfs=$bundle/rootfs
busybox=/bin/busybox
[[ -f $bundle/config.json ]] || fail "$bundle is not a bundle: no config.json in it"
[[ -x $busybox ]] || fail "$busybox is missing: apt-get install busybox-static"

up_to_date() {
    local file
    [[ $rootfs -nt ${BASH_SOURCE[0]} ]] || return 1
    cmp -s "$busybox" "$rootfs/bin/busybox" || return 1
    [[ -d $bundle/files ]] || return 0
    while IFS= read -r -d '' file; do
        cmp -s "$bundle/files/$file" "$rootfs/$file" || return 1
    done < <(find "$bundle/files" -type f -printf '%P\0')
}

! up_to_date || exit 0

new=$(mktemp -d "$bundle/rootfs.XXXXXX")
trap 'rm -rf "$new"' EXIT
chmod 755 "$new"

# The runtime mounts over the first line; the rest is what programs expect to find.
mkdir -p "$new"/{proc,sys,dev} "$new"/{bin,sbin,etc,home,mnt,root,run,tmp,usr/bin,usr/sbin,var/tmp}
chmod 1777 "$new"/{tmp,var/tmp}
chmod 700 "$new/root"
echo 'root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/false' >"$new/etc/passwd"
echo 'root:x:0:
tty:x:5:
nogroup:x:65534:' >"$new/etc/group"

install -m 755 "$busybox" "$new/bin/busybox"
for applet in $("$busybox" --list-full); do
    # Debian's is linked statically and has all of its applets: a link each, as `busybox --install -s` makes them.
    [[ $applet == */* && ! -e $new/$applet && -d $new/${applet%/*} ]] || continue
    case $applet in
    usr/*/*) ln -s ../../bin/busybox "$new/$applet" ;;
    bin/*) ln -s busybox "$new/$applet" ;;
    *) ln -s ../bin/busybox "$new/$applet" ;;
    esac
done

[[ ! -d $bundle/files ]] || cp -R "$bundle/files/." "$new/"

rm -rf "$rootfs"
mv -T "$new" "$rootfs"
touch "$rootfs"
trap - EXIT
