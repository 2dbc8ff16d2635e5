# shellcheck shell=bash
# Sourced by each part. Parts run as root in a container or, for comparison, in a chroot of the host; the current folder
# is on the file system that is looked at, empty at first. They print a line a result: `ok NAME WHAT-MUST-BE-EQUAL` or
# `not ok NAME: why`.

set -uo pipefail
export LC_ALL=C HOME=/tmp PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
umask 022
export suites=/suites
# Where the tools' own output goes: a tmpfs in a container.
log=$(mktemp -d /tmp/part.XXXXXX)
readonly log
# Without this line the part did not come to its end.
trap 'echo end' EXIT

say_why() {
    tail -n 3 "$1" | tr '\n' ' ' | cut -c 1-300
}

# check NAME COMMAND…: ok when the command is.
check() {
    local name=$1 status=0
    shift
    "$@" >"$log/$name" 2>&1 </dev/null || status=$?
    if ((status == 0)); then
        echo "ok $name"
    else
        echo "not ok $name: exit code $status: $(say_why "$log/$name")"
    fi
    return "$status"
}

# same NAME COMMAND…: ok with a digest of what the command prints, which the host's must equal.
same() {
    local name=$1 status=0
    shift
    "$@" >"$log/$name" 2>"$log/$name.err" </dev/null || status=$?
    if ((status == 0)); then
        echo "ok $name $(sha256sum <"$log/$name" | cut -c 1-16)"
    else
        echo "not ok $name: exit code $status: $(say_why "$log/$name.err")"
    fi
    return "$status"
}
