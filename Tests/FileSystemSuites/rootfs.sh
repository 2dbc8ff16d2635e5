#!/usr/bin/env bash
# Makes the Debian that the file system suites run in, outside of the checkout, once: where the last one came from the
# same script, it does nothing.
#
#     rootfs.sh DIRECTORY
#
# DIRECTORY/rootfs   bookworm with git, gcc, SQLite, PostgreSQL, rsync …; containers mount it read-only
# DIRECTORY/input    what the suites work with: base.tar (a small Debian), debs/ (an apt repository of a few packages),
#                    sources/ (of zlib and Lua)

set -euo pipefail

fail() {
    echo "${0##*/}: $*" >&2
    exit 1
}

(($# == 1)) || fail "usage: rootfs.sh DIRECTORY"
readonly directory=$1
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../scripts" && pwd)
export DEBIAN_MIRROR=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
readonly packages=(
    acl attr bzip2 gcc git libc6-dev libcap2-bin make openssl perl postgresql-15 rsync sqlite3 xz-utils
)
# For `dpkg -i` and for `apt-get install`; the last with maintainer scripts that compile into the tree.
readonly debs=(hello tree libpython3.11-minimal python3.11-minimal libexpat1 libssl3)

readonly sources=(zlib lua5.4)

stamp=$(cat "${BASH_SOURCE[0]}" "$scripts/debian.sh" | sha256sum | cut -d ' ' -f 1)
[[ ! -f $directory/stamp || $(<"$directory/stamp") != "$stamp" ]] || exit 0
((EUID == 0)) || fail "needs root"

new=$directory.new
rm -rf "$new"
mkdir -p "$new/input/debs"
"$scripts/debian.sh" "$new/rootfs"
in_rootfs() {
    chroot "$new/rootfs" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C "$@"
}
tar -C "$new/rootfs" --exclude=./var/cache/apt/archives/* --exclude=./var/lib/apt/lists/* --exclude=./dev/* \
    --numeric-owner -cf "$new/input/base.tar" .

# Nothing of it may start a service on this machine.
printf '#!/bin/sh\nexit 101\n' >"$new/rootfs/usr/sbin/policy-rc.d"
chmod 755 "$new/rootfs/usr/sbin/policy-rc.d"
mkdir -p "$new/rootfs/etc/postgresql-common"
echo 'create_main_cluster = false' >"$new/rootfs/etc/postgresql-common/createcluster.conf"
in_rootfs apt-get update
in_rootfs apt-get install --yes --no-install-recommends "${packages[@]}"
in_rootfs apt-get clean
mkdir "$new/rootfs/work" "$new/rootfs/tools"
(
    cd "$new/rootfs/tmp"
    in_rootfs sh -c 'cd /tmp && apt-get download "$@"' x "${debs[@]}"
    mv ./*.deb "$new/input/debs/"
)
# An index that apt reads, written here: apt-utils and dpkg-dev would be many packages for one file.
for deb in "$new"/input/debs/*.deb; do
    dpkg-deb --field "$deb"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "${deb##*/}" "$(stat -c %s "$deb")" \
        "$(sha256sum "$deb" | cut -d ' ' -f 1)"
done >"$new/input/Packages"
mv "$new/input/Packages" "$new/input/debs/"

# Sources to build. apt checks their signatures, as those of all packages.
mkdir "$new/input/sources"
echo "deb-src $DEBIAN_MIRROR bookworm main" >"$new/rootfs/etc/apt/sources.list.d/sources.list"
in_rootfs apt-get update
in_rootfs sh -c 'mkdir /tmp/sources && cd /tmp/sources && apt-get source --download-only "$@"' x "${sources[@]}"
mv "$new"/rootfs/tmp/sources/*.orig.tar.* "$new/input/sources/"
rm -rf "$new/rootfs/tmp/sources" "$new"/rootfs/var/lib/apt/lists/*

rm -rf "$directory"
echo "$stamp" >"$new/stamp"
mv -T "$new" "$directory"
