#!/usr/bin/env bash
# Runs a long command: its output goes to build/logs/NAME.log, and meanwhile it says what is being done and for how
# long. If the command fails, the log's end is shown. V=1 shows the output itself instead.
#
#     step.sh NAME "what is being done" COMMAND…

# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

(($# >= 3)) || fail 'usage: step.sh NAME "what is being done" COMMAND…'
name=$1 title=$2
shift 2
log=$root/build/logs/$name.log

say() {
    printf '[%4d s] %s\n' "$SECONDS" "$*" >&2
}

if [[ -n ${V:-} ]]; then
    say "$title"
    exec "$@"
fi

# A clock that runs beside the command. `read -t` from a pipe nobody writes to waits without a child process, which
# would outlive us and keep a reader of our output waiting.
beat() {
    local quiet width last
    exec {quiet}<> <(:)
    if [[ -t 2 ]]; then
        width=$(tput cols 2>/dev/null || echo 80)
        while :; do
            last=$(tail -n 1 "$log" | tr -d '\r\033' || true)
            last=$(printf '[%4d s] %s  %s' "$SECONDS" "$title" "$last")
            printf '\r\033[K%s' "${last:0:width-1}" >&2
            read -rt 1 -u "$quiet" || true
        done
    else
        say "$title"
        while :; do
            read -rt 30 -u "$quiet" || true
            say "  still: $title"
        done
    fi
}

mkdir -p "${log%/*}"
: >"$log"
beat &
clock=$!
stop_clock() {
    kill "$clock" 2>/dev/null || true
    wait "$clock" 2>/dev/null || true
    [[ ! -t 2 ]] || printf '\r\033[K' >&2
}
trap stop_clock EXIT

status=0
"$@" >>"$log" 2>&1 </dev/null || status=$?
stop_clock
trap - EXIT

if ((status != 0)); then
    tail -n 60 "$log" >&2
    say "failed ($status): $title (the whole output: $log)"
    exit "$status"
fi
say "done: $title"
