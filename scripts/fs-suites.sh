#!/usr/bin/env bash
# Runs file system suites in a container, on a bind mount, and compares with the host's own file system.
#
#     fs-suites.sh [PART…]      posix pjdfstest fsx stress rsync git build packages sqlite postgres
#
# KVM_RUNTIME_TEST_FS=virtiofsd|builtin says which file system; PJDFSTEST=FOLDER where a built pjdfstest is (it is no
# part of this project). The Debian they run in is made once, in the cache, by debootstrap.

# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

((EUID == 0)) || fail "needs root"
readonly here=$root/Tests/FileSystemSuites
cache=${KVM_RUNTIME_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kvm-runtime}
export FS_SUITES_DEBIAN=$cache/suites
export FS_SUITES_PROGRAMS=$root/build/fs-suites/bin

"$root/scripts/step.sh" suites-rootfs "make the Debian of the suites (once)" "$here/rootfs.sh" "$FS_SUITES_DEBIAN"
mkdir -p "$FS_SUITES_PROGRAMS"
# Static: they run in whatever rootfs.
readonly compile=(gcc -std=gnu17 -O1 -Wall -Wextra -Werror -static)
"${compile[@]}" -o "$FS_SUITES_PROGRAMS/posix" "$here"/posix/*.c
"${compile[@]}" -o "$FS_SUITES_PROGRAMS/fsx" "$here/fsx.c"
"${compile[@]}" -o "$FS_SUITES_PROGRAMS/stress" "$here/stress.c"
exec "$here/suites.py" "$@"
