#!/usr/bin/env bash
# Makes a small Debian (bookworm, minbase) by debootstrap, in a folder that is not there yet.
#
#     debian.sh ROOTFS
#
# DEBIAN_MIRROR is where it comes from. Ends with 75 and a reason when this machine can't have it: no debootstrap, no
# network.

# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

readonly unavailable=75
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}

(($# == 1)) || fail "usage: debian.sh ROOTFS"
rootfs=$1
[[ ! -e $rootfs ]] || fail "$rootfs is there already"
((EUID == 0)) || fail "needs root"

cannot() {
    echo "no Debian can be made here: $*" >&2
    exit "$unavailable"
}

for program in debootstrap wget; do
    command -v "$program" >/dev/null || cannot "$program is not installed"
done
# debootstrap would ask twenty times, for minutes each.
wget --quiet --tries=2 --timeout=15 -O /dev/null "$mirror/dists/bookworm/Release" || cannot "$mirror does not answer"

# The tree is thrown away when anything goes wrong: nobody needs it on the disk after each package.
mkdir -p "$rootfs/etc/dpkg/dpkg.cfg.d"
echo force-unsafe-io >"$rootfs/etc/dpkg/dpkg.cfg.d/unsafe"
# What debootstrap mounts goes with its namespace, however it ends: the next `rm -rf` could be in the host's /dev.
status=0
unshare --mount --propagation private debootstrap --variant=minbase bookworm "$rootfs" "$mirror" || status=$?
((status == 0)) || cannot "debootstrap failed ($status)"
rm "$rootfs/etc/dpkg/dpkg.cfg.d/unsafe"
