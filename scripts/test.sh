#!/usr/bin/env bash
# Runs every layer of tests that this machine can run, and sums them up in one line: N passed, N failed, N skipped.
# Fails when a test failed, and when a layer that this machine can run did not run.
#
#     test.sh [LAYER…]        unit, agent, end-to-end; all of them without arguments
#     FILTER=REGEX test.sh    only the tests whose names match (swift test --filter); for work on one of them
#
# Each layer leaves two files in build/test: LAYER.events, what Swift Testing reported (one JSON object a line), and
# LAYER.status, its exit status or `skip: ` and the reason why this machine can't run it. scripts/summarize.py
# reads these. It is the event stream because the xUnit file counts a test that was cancelled among the passed.

# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$root"

readonly results=$root/build/test
readonly step=$root/scripts/step.sh
readonly layers=(unit agent end-to-end)
# Where the tests find what `make build` made.
export KVM_RUNTIME_BUILD=$root/build

# swift_tests LAYER TITLE SWIFT-TEST-ARGUMENTS…: builds the tests of a package and runs some of them.
swift_tests() {
    local layer=$1 title=$2 status=0
    shift 2
    "$step" "test-$layer-build" "build the $title" swift build --build-tests "${package[@]}" || status=$?
    if ((status == 0)); then
        "$step" "test-$layer" "run the $title" swift test --skip-build --disable-xctest "${package[@]}" \
            --event-stream-version 6.3 --event-stream-output-path "$results/$layer.events" "$@" || status=$?
    fi
    echo "$status" >"$results/$layer.status"
}

only() {
    [[ -z ${FILTER:-} ]] || printf -- '--filter\n%s\n' "$FILTER"
}

layer_unit() {
    local package=() arguments
    mapfile -t arguments < <(only)
    swift_tests unit "unit tests" --skip '^EndToEndTests\.' "${arguments[@]}"
}

# The guest's agent is a package of its own.
layer_agent() {
    local package=(--package-path guest-agent --scratch-path "$root/.build-agent") arguments
    mapfile -t arguments < <(only)
    swift_tests agent "guest agent's tests" "${arguments[@]}"
}

# Real guests, through build/bin/kvm-runtime. One test at a time: they measure, and each boots a machine.
layer_end_to_end() {
    local package=() reason=
    if [[ $(uname -sm) != "Linux x86_64" ]]; then
        reason="kvm-runtime runs on Linux x86_64 only"
    elif ((EUID != 0)); then
        reason="needs root"
    elif ! command -v qemu-system-x86_64 >/dev/null; then
        reason="qemu-system-x86_64 is not installed"
    fi
    if [[ -n $reason ]]; then
        echo "skip: $reason" >"$results/end-to-end.status"
    else
        swift_tests end-to-end "end-to-end tests" --no-parallel --filter "^EndToEndTests\..*${FILTER:-}"
    fi
}

chosen=("$@")
((${#chosen[@]} > 0)) || chosen=("${layers[@]}")
for layer in "${chosen[@]}"; do
    [[ " ${layers[*]} " == *" $layer "* ]] || fail "no such layer: $layer (${layers[*]})"
done

rm -rf "$results"
mkdir -p "$results"
for layer in "${chosen[@]}"; do
    "layer_${layer//-/_}"
done
exec "$root/scripts/summarize.py" "$results" "${chosen[@]}"
