#!/usr/bin/env bash
# Makes images of a small Debian for tests of clients, once: where those there are whole, and of these scripts, it does
# nothing. Of several callers one makes them, and the others wait for it.
#
#     debian-image.sh DIRECTORY NAME
#
# DIRECTORY/oci.tar     NAME as containerd imports it, DIRECTORY/docker.tar as Docker and podman load it
#
# Ends with 75 and a reason when this machine can't have it (debian.sh).

# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

(($# == 2)) || fail "usage: debian-image.sh DIRECTORY NAME"
directory=$1 name=$2
here=$root/scripts

mkdir -p "${directory%/*}"
exec {lock}>"$directory.lock"
flock "$lock"

stamp=$({ echo "$name" && cat "$here/debian.sh" "$here/debian-image.sh"; } | sha256sum | cut -d ' ' -f 1)
is_whole() {
    [[ -f $directory/stamp && $(<"$directory/stamp") == "$stamp" ]] &&
        (cd "$directory" && sha256sum --check --status --strict sums 2>/dev/null)
}
! is_whole || exit 0

new=$directory.new
rm -rf "$new" "$directory"
mkdir "$new"
trap 'rm -rf "$new"' EXIT
"$here/debian.sh" "$new/rootfs"
# The image has no need of what apt can fetch again; devices are the runtime's.
tar -C "$new/rootfs" --exclude=./var/cache/apt/archives/*.deb --exclude=./var/lib/apt/lists/* --exclude=./dev/* \
    --numeric-owner -cf "$new/layer.tar" .
umoci init --layout "$new/layout"
umoci new --image "$new/layout:t"
umoci raw add-layer --image "$new/layout:t" "$new/layer.tar"
umoci config --image "$new/layout:t" --config.cmd bash \
    --config.env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
for form in oci docker; do
    skopeo copy "oci:$new/layout:t" "$form-archive:$new/$form.tar:$name"
done
rm -rf "$new/rootfs" "$new/layout" "$new/layer.tar"
(cd "$new" && sha256sum oci.tar docker.tar >sums)
echo "$stamp" >"$new/stamp"
mv -T "$new" "$directory"
