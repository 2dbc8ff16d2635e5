#!/usr/bin/env bash
# Fuzzes what a hostile guest can reach (Tests/FuzzTargets), with libFuzzer, which comes with Swift.
#
#     fuzz.sh run SECONDS [TARGET…]     each target for so long, one after the other, from Tests/FuzzCorpora/TARGET
#     ADDRESS=1 fuzz.sh run …           with AddressSanitizer, which sees leaks too; slower
#     fuzz.sh merge 0 [TARGET…]         makes Tests/FuzzCorpora/TARGET anew of it and of what was found
#
# What is new goes to build/fuzz/TARGET. An input that ends the program, or takes longer than ten seconds, is kept in
# build/fuzz/found and ends the run; run it alone with
#     FUZZ_TARGET=TARGET SWIFT_BACKTRACE=enable=no .build-fuzz/release/kvm-fuzz build/fuzz/found/FILE
# and copy it to Tests/FuzzCorpora/TARGET with the fix: the unit tests replay what is there.

# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$root"

(($# >= 2)) || fail "usage: fuzz.sh run|merge SECONDS [TARGET…]"
action=$1 seconds=$2
shift 2
mapfile -t targets < <(sed -n 's/.*FuzzTarget(name: "\([a-z-]*\)".*/\1/p' Tests/FuzzTargets/FuzzTarget.swift)
chosen=("$@")
((${#chosen[@]} > 0)) || chosen=("${targets[@]}")
for target in "${chosen[@]}"; do
    [[ " ${targets[*]} " == *" $target "* ]] || fail "no such target: $target (${targets[*]})"
done

# A scratch folder of its own: all is built with the fuzzer's counters in it, and the compiler does not see that an
# object has others.
build=(swift build -c release --scratch-path ".build-fuzz${ADDRESS:+-address}" --sanitize fuzzer -Xswiftc -DLIBFUZZER)
[[ -z ${ADDRESS:-} ]] || build+=(--sanitize address)
scripts/step.sh fuzz "build the fuzz targets" "${build[@]}" --product kvm-fuzz
program=$("${build[@]}" --show-bin-path)/kvm-fuzz
# Swift's handler would take the crash that libFuzzer is waiting for.
export SWIFT_BACKTRACE=enable=no
mkdir -p build/fuzz/found build/logs

run() {
    local target=$1 found=build/fuzz/$1 log=build/logs/fuzz-$1.log words=()
    mkdir -p "$found"
    [[ ! -f Tests/FuzzCorpora/$target.dict ]] || words=(-dict="Tests/FuzzCorpora/$target.dict")
    echo "fuzz $target for $seconds s" >&2
    # No socket, no device and no lock makes it wait, so ten seconds are a hang.
    if ! FUZZ_TARGET=$target nice "$program" "$found" "Tests/FuzzCorpora/$target" -max_total_time="$seconds" \
        -max_len="$(most_bytes "$target")" -len_control=0 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix=build/fuzz/found/ "${words[@]}" </dev/null >"$log" 2>&1; then
        tail -n 30 "$log" >&2
        fail "$target: an input was found; see above, build/fuzz/found and $log"
    fi
    grep -aE '^(Done|stat::(number_of_executed_units|average_exec_per_sec|new_units_added|peak_rss_mb))' "$log" >&2
}

# A configuration is longer than a program that is worth its time.
most_bytes() {
    case $1 in
    spec | frames) echo 8192 ;;
    *) echo 512 ;;
    esac
}

# Some dozens of inputs that reach most of what is reached.
merge() {
    local target=$1 corpus=Tests/FuzzCorpora/$1 control=build/fuzz/$1.control file
    mkdir -p "build/fuzz/$target" build/fuzz/merged
    rm -rf "$control" build/fuzz/merged/*
    FUZZ_TARGET=$target nice "$program" -set_cover_merge=1 -merge_control_file="$control" -timeout=10 build/fuzz/merged \
        "$corpus" "build/fuzz/$target" </dev/null >"build/logs/fuzz-$target.log" 2>&1 ||
        fail "$target: see build/logs/fuzz-$target.log"
    rm -rf build/fuzz/merged/*
    while IFS= read -r file; do cp "$file" build/fuzz/merged/; done < <(scripts/fuzz-corpus.py "$control")
    rm -rf "$corpus"
    mkdir -p "$corpus"
    mv build/fuzz/merged/* "$corpus/"
    echo "$target: $(find "$corpus" -type f | wc -l) inputs" >&2
}

for target in "${chosen[@]}"; do
    case $action in
    run | merge) "$action" "$target" ;;
    *) fail "no such action: $action" ;;
    esac
done
