#!/usr/bin/env bash
# Installs what is missing of the packages that a group of targets needs, and looks for Swift.
#
#     deps.sh build           what `make build` and `make run` need
#     deps.sh build test      and what the tests and the benchmark compare with
#     deps.sh lint            what `make lint` needs besides Swift
#
# With nothing missing it asks dpkg one question and is done. KERNEL_SOURCE (see guest-agent/kernel/build.sh)
# takes the place of Debian's kernel source.

# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

readonly machine=(qemu-system-x86)
readonly kernel=(bc flex bison libelf-dev libssl-dev make gcc libc6-dev binutils xz-utils)
readonly images=(cpio busybox-static python3)
# What the tarball of swift.org leaves to the machine: a linker's surroundings and SwiftPM's libraries.
readonly swift=(git ca-certificates libgcc-12-dev libstdc++-12-dev libcurl4 libedit2 libncurses6 libsqlite3-0 libxml2)
# Filters of system calls are compiled on the host.
readonly libraries=(libseccomp-dev)

(($# > 0)) || fail "usage: deps.sh build|test|lint…"

wanted=()
for group in "$@"; do
    case $group in
    build)
        wanted+=("${machine[@]}" "${kernel[@]}" "${images[@]}" "${swift[@]}" "${libraries[@]}")
        [[ -n ${KERNEL_SOURCE:-} ]] || wanted+=(linux-source-6.1)
        ;;
    # virtiofsd, for the lab and to compare with, is in qemu-system-common.
    # The clients whose runtime this is.
    # And what makes images of file systems, and looks into them.
    test)
        wanted+=(crun runc qemu-system-common containerd docker.io podman catatonit buildah umoci skopeo)
        wanted+=(e2fsprogs erofs-utils squashfs-tools)
        # And the Debian of clients' tests and file system suites.
        wanted+=(debootstrap wget)
        ;;
    lint) wanted+=(python3 shellcheck) ;;
    *) fail "no such group: $group (build, test, lint)" ;;
    esac
done

command -v swift >/dev/null ||
    fail "Swift is missing: unpack the Debian 12 tarball of Swift 6.3 from swift.org so that $swift_home/swift exists"

if ! command -v dpkg-query >/dev/null; then
    echo "${0##*/}: not a Debian: what Debian calls ${wanted[*]} is yours to install" >&2
    exit 0
fi

# A package that dpkg never heard of is an error to dpkg-query, and simply missing to us.
installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${wanted[@]}" 2>/dev/null |
    sed -n 's/ installed$//p') || true
mapfile -t missing < <(printf '%s\n' "${wanted[@]}" | LC_ALL=C sort -u |
    LC_ALL=C comm -23 - <(LC_ALL=C sort -u <<<"$installed"))
((${#missing[@]} > 0)) || exit 0

if ((EUID != 0)); then
    fail "missing packages; as root: apt-get install --no-install-recommends ${missing[*]}"
fi

export DEBIAN_FRONTEND=noninteractive
step=$root/scripts/step.sh
"$step" apt-update "read apt's lists" apt-get update
"$step" apt-install "install ${missing[*]}" \
    apt-get install --yes --no-install-recommends "${missing[@]}"
