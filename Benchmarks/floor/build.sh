#!/usr/bin/env bash
# Builds OUTDIR/floor.cpio, the initramfs of the benchmark's floor: /init, and nothing else but /dev/console.
#
#     Benchmarks/floor/build.sh OUTDIR

set -euo pipefail

if [[ $# -ne 1 ]]; then
    echo "usage: $0 OUTDIR" >&2
    exit 2
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"${CC:-cc}" -std=c11 -Os -Wall -Wextra -Werror -D_DEFAULT_SOURCE -static -s -o "$work/init" "$here/init.c"

# newc_entry NAME MODE INODE RDEVMAJOR RDEVMINOR [FILE]: one member of a cpio archive, written by hand, because
# mknod(2) of /dev/console wants root and this does not. Times and owners are 0: same input, same archive.
newc_entry() {
    local name=$1 mode=$2 inode=$3 major=$4 minor=$5 file=${6:-}
    local size=0
    [[ -z $file ]] || size=$(stat -c %s "$file")
    printf '070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X' \
        "$inode" "$mode" 0 0 1 0 "$size" 0 0 "$major" "$minor" $((${#name} + 1)) 0
    printf '%s\0' "$name"
    pad $((110 + ${#name} + 1))
    if [[ -n $file ]]; then
        cat "$file"
        pad "$size"
    fi
}

# pad LENGTH: zeros up to the next multiple of four.
pad() {
    local count=$(((4 - $1 % 4) % 4))
    [[ $count -eq 0 ]] || head -c "$count" /dev/zero
}

{
    newc_entry dev "$((0040755))" 1 0 0
    newc_entry dev/console "$((0020600))" 2 5 1
    newc_entry init "$((0100755))" 3 0 0 "$work/init"
    newc_entry 'TRAILER!!!' 0 0 0 0
} >"$work/floor.cpio"
mv "$work/floor.cpio" "$out/floor.cpio"
