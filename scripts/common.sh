# shellcheck shell=bash
# Sourced by the other scripts: strict mode, the checkout's root, Swift in PATH.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034  # the scripts that source this use it
readonly root

# Where swift.org's tarball is unpacked on our machines; whatever comes first in PATH wins.
readonly swift_home=/opt/swift/usr/bin
PATH=$PATH:$swift_home

fail() {
    echo "${0##*/}: $*" >&2
    exit 1
}
