#!/usr/bin/env bash
# Builds the guest kernel: vmlinux, stripped, to be booted by its PVH note.
#
#     build.sh [--lab] OUTPUT     put the kernel at OUTPUT (written only if it differs)
#     build.sh [--lab] --path     print where it lies in the cache
#
# Both build it first if the cache does not have it. --lab adds lab.fragment, for the outer guest of the nested lab.
#
# Variables:
#     KERNEL_SOURCE       a kernel source tree or tarball; else Debian's /usr/src/linux-source-6.1.tar.xz
#     KVM_RUNTIME_CACHE   where built kernels are kept (in kernel/<hash>/); else ~/.cache/kvm-runtime
#     CC                  the compiler; else gcc
#     JOBS                parallel jobs; else one a processor

set -euo pipefail

readonly default_source=/usr/src/linux-source-6.1.tar.xz
readonly size_limit=$((24 << 20))
# Part of the hash: to be counted up when this script builds the same options differently.
readonly recipe=2

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${KVM_RUNTIME_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kvm-runtime}/kernel
source=${KERNEL_SOURCE:-$default_source}
cc=${CC:-gcc}
fragments=("$here"/{machine,containers,storage,network,hardening}.fragment)
work=
compiling=

usage() {
    echo "usage: ${0##*/} [--lab] OUTPUT | [--lab] --path" >&2
    exit 2
}

fail() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# A command in a script's background does not get the terminal's interrupt: it is ended here.
cleanup() {
    if [[ -n $compiling ]]; then
        kill "$compiling" 2>/dev/null || true
        wait "$compiling" || true
    fi
    rm -rf "$work"
}

# ------------------------------------------------------------------------------------------------ progress

# step TEXT: one line a step, with the seconds since the start.
step() {
    printf '[%4d s] %s\n' "$SECONDS" "$*" >&2
}

# logged COMMAND…: runs it with its output in the log; if it fails, says so and shows the log's end.
logged() {
    "$@" >>"$work/log" 2>&1 || fail_with_log "failed: $*"
}

fail_with_log() {
    cp "$work/log" "$cache/failed.log"
    tail -n 25 "$work/log" >&2
    fail "$* (the whole log: $cache/failed.log)"
}

# counted COMMAND…: like logged, with a running count of the objects made.
counted() {
    local pid shown=$SECONDS count
    "$@" >>"$work/log" 2>&1 &
    pid=$!
    compiling=$pid
    while kill -0 "$pid" 2>/dev/null; do
        sleep 1
        count=$(grep -cE '^  (CC|AS|LD|AR) ' "$work/log" || true)
        if [[ -t 2 ]]; then
            printf '\r[%4d s]   %d objects' "$SECONDS" "$count" >&2
        elif ((SECONDS >= shown + 30)); then
            shown=$SECONDS
            step "  $count objects"
        fi
    done
    [[ ! -t 2 ]] || echo >&2
    compiling=
    wait "$pid" || fail_with_log "failed: $*"
}

# ------------------------------------------------------------------------------------------- what to build

check_requirements() {
    [[ -e $source ]] || fail "no kernel source at $source: apt-get install linux-source-6.1, or set KERNEL_SOURCE"
    local missing=() tool
    for tool in "$cc" make bc flex bison xz flock readelf; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    ((${#missing[@]} == 0)) ||
        fail "missing: ${missing[*]}: apt-get install build-essential bc flex bison xz-utils libelf-dev"
    echo '#include <gelf.h>' | "$cc" -E - >/dev/null 2>&1 || fail "missing: gelf.h: apt-get install libelf-dev"
}

# What identifies the source: a package's version if it is Debian's, else its contents or its file times.
source_identity() {
    local version
    if [[ -d $source ]]; then
        (cd "$source" && find . -name .git -prune -o -type f -printf '%P %s %T@\n') | LC_ALL=C sort | sha256sum
    elif [[ $source == "$default_source" ]] &&
        version=$(dpkg-query -W -f '${Version}' linux-source-6.1 2>/dev/null) && [[ -n $version ]]; then
        echo "debian $version"
    else
        sha256sum <"$source"
    fi
}

# The options that the fragments ask for, one a line, comments and blank lines left out. When two fragments
# disagree, the later one is right (the lab has PCI, though the machine has not).
wanted_options() {
    awk '
        /^CONFIG_[A-Za-z0-9_]+=/ { name = $0; sub(/=.*/, "", name) }
        /^# CONFIG_[A-Za-z0-9_]+ is not set$/ { name = $2 }
        name != "" { if (!(name in line)) order[++count] = name; line[name] = $0; name = "" }
        END { for (i = 1; i <= count; i++) print line[order[i]] }
    ' "${fragments[@]}"
}

# asks TREE NAME: whether the source has such an option, for people to choose.
asks() {
    grep -rhs -A 3 --include='Kconfig*' -E "^(menu)?config ${2}\$" "$1" | grep -qE '^\s+(bool|tristate|int|string|prompt) "'
}

# options_for TREE: the wanted options, by the names that this source has for them.
options_for() {
    local old new sed=()
    while read -r old new; do
        [[ $old != '#' ]] || continue
        if [[ $new == - ]]; then
            asks "$1" "$old" || sed+=(-e "/^(# )?CONFIG_${old}[= ]/d")
        elif ! asks "$1" "$old" && asks "$1" "$new"; then
            sed+=(-e "s/^(# )?CONFIG_$old([= ])/\1CONFIG_$new\2/")
        fi
    done <"$here/renames"
    wanted_options | sed -E -e '' "${sed[@]}"
}

build_hash() {
    {
        echo "recipe $recipe"
        source_identity
        "$cc" --version | head -n 1
        "$cc" -Wl,--version 2>/dev/null | head -n 1
        wanted_options
        grep -v '^#' "$here/renames"
    } | sha256sum | cut -c 1-16
}

# --------------------------------------------------------------------------------------------------- build

# verify CONFIG OPTIONS: every option asked for must have come out as asked; Kconfig drops silently what depends on
# something that is off.
verify() {
    local config=$1 line name dropped=()
    while IFS= read -r line; do
        if [[ $line == '#'* ]]; then
            name=${line#\# }
            name=${name%% *}
            ! grep -q "^$name=" "$config" || dropped+=("$name is on, though asked to be off")
        elif ! grep -qxF -- "$line" "$config"; then
            name=${line%%=*}
            dropped+=("$line: came out as $(grep -E "^(# )?${name}[ =]" "$config" || echo "nothing")")
        fi
    done <"$2"
    if ((${#dropped[@]} > 0)); then
        printf '  %s\n' "${dropped[@]}" >&2
        fail "${#dropped[@]} options are not as the fragments ask"
    fi
}

# precompile_headers: with the flags of an ordinary object, less what compiler.sh takes out of them. Whoever has another
# compiler than gcc goes without.
precompile_headers() {
    local object=init/init_task.o command
    counted "${make[@]}" "$object"
    printf '#include <linux/%s.h>\n' compiler-version kconfig compiler_types >"$KERNEL_PREFIX"
    # cmd_OBJECT := COMPILER -Wp,-MMD,… … -include … … -DKBUILD_…=… … -c -o OBJECT SOURCE ; OBJTOOL…
    command=$(sed -E -e '1!d; s/^[^=]*:= //; s/ -c -o .*//; s/ -Wp,-MMD,[^ ]*//' \
        -e 's/ -include [^ ]*//g; s/ -D_*KBUILD_[^ ]*//g' "$build/$(dirname "$object")/.${object##*/}.cmd")
    (cd "$build" && eval "$command -x c-header -o $KERNEL_PREFIX.gch $work/headers.h") >>"$work/log" 2>&1 ||
        step "$cc does not precompile the headers: this takes twice as long"
}

build() {
    local result=$1 tree build size
    local jobs=${JOBS:-$(nproc)}

    # Whatever a killed build left; only the holder of the lock gets here.
    rm -rf "$cache"/work.*
    work=$(mktemp -d "$cache/work.XXXXXX")
    trap cleanup EXIT
    : >"$work/log"

    if [[ -d $source ]]; then
        tree=$(cd "$source" && pwd)
    else
        step "unpack $source"
        tree=$work/source
        mkdir "$tree"
        logged tar -x -f "$source" -C "$tree" --strip-components=1
    fi

    # The same input makes the same file: no names, no times of this machine in it.
    export KBUILD_BUILD_USER=kvm-runtime KBUILD_BUILD_HOST=kvm-runtime KBUILD_BUILD_VERSION=1
    export KBUILD_BUILD_TIMESTAMP='1970-01-01 00:00:00 UTC' LC_ALL=C
    build=$work/build
    mkdir "$build"
    cp "$here"/{compiler.sh,headers.h} "$work"
    export KERNEL_CC=$cc KERNEL_PREFIX=$work/prefix.h
    local make=(make -C "$tree" "O=$build" ARCH=x86_64 "CC=$work/compiler.sh" "-j$jobs")

    step "configure"
    logged "${make[@]}" tinyconfig
    options_for "$tree" >"$work/options"
    cat "$work/options" >>"$build/.config"
    logged "${make[@]}" olddefconfig
    verify "$build/.config" "$work/options"

    step "compile $("${make[@]}" -s kernelversion) with $jobs jobs"
    precompile_headers
    counted "${make[@]}" vmlinux

    step "strip and check"
    mkdir "$work/result"
    logged strip -o "$work/result/vmlinux" "$build/vmlinux"
    cp "$build/.config" "$work/result/config"
    cp "$build/System.map" "$work/result/System.map"
    size=$(stat -c %s "$work/result/vmlinux")
    ((size <= size_limit)) || fail "vmlinux has $size bytes, more than $size_limit"
    readelf -n "$work/result/vmlinux" 2>/dev/null | grep -q '^  Xen .*0x00000012' || fail "vmlinux has no PVH note"

    mv -T "$work/result" "$result"
    step "done: $((size >> 10)) KiB"
}

# install_if_different FROM TO
install_if_different() {
    cmp -s "$1" "$2" && return
    local temporary
    mkdir -p "$(dirname "$2")"
    temporary=$(mktemp "$2.XXXXXX")
    cp "$1" "$temporary"
    chmod 644 "$temporary"
    mv -f "$temporary" "$2"
}

# ---------------------------------------------------------------------------------------------------- main

if [[ ${1:-} == --lab ]]; then
    fragments+=("$here/lab.fragment")
    shift
fi
[[ $# -eq 1 && -n $1 && ($1 == --path || $1 != -*) ]] || usage

check_requirements
result=$cache/$(build_hash)
if [[ ! -e $result/vmlinux ]]; then
    mkdir -p "$cache"
    # One build at a time: whoever waited finds the kernel made.
    exec 9>"$cache/lock"
    flock 9
    [[ -e $result/vmlinux ]] || build "$result"
fi

if [[ $1 == --path ]]; then
    echo "$result/vmlinux"
else
    install_if_different "$result/vmlinux" "$1"
fi
