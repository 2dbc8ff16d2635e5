#!/bin/sh
# Builds the agent and packs the guest's initramfs: initramfs.sh OUTPUT
# The same sources and toolchain give the same bytes. Needs root (a device node) and cpio.
#   SCRATCH    the build directory (default: .build beside this file)
#   PACKAGE    the directory of the agent's package (default: that of this file)
#   EMBEDDED   1 (the default): Embedded Swift, without a runtime: a fifth of the size. 0: the full language
set -eu

here=$(cd "$(dirname "$0")" && pwd)
package=$(cd "${PACKAGE:-$here}" && pwd)
scratch=${SCRATCH:-$package/.build}
output=${1:?usage: initramfs.sh OUTPUT}

# Small, because every guest holds it in its memory and unpacks it at boot: -Osize, sections that nobody uses thrown
# away, equal functions folded (lld). Reflection metadata is for Mirror, which the agent has no use for.
build_full() {
    swift build --package-path "$package" --scratch-path "$scratch" -c release --product kvm-agent \
        -Xswiftc -static-executable -Xswiftc -Osize -Xswiftc -use-ld=lld \
        -Xswiftc -Xfrontend -Xswiftc -disable-reflection-metadata \
        -Xcc -Os -Xcc -ffunction-sections -Xcc -fdata-sections \
        -Xlinker --gc-sections -Xlinker --icf=all -Xlinker --build-id=none >&2
    binary=$(swift build --package-path "$package" --scratch-path "$scratch" -c release --show-bin-path)/kvm-agent
}

# Module by module, because SwiftPM would compile and link every module's object file: with Embedded Swift the last one
# holds all that is needed, and the others the same again.
build_embedded() {
    objects=$scratch/embedded
    rm -rf "$objects"
    mkdir -p "$objects"
    shared=$package/../Sources
    own=$package/Sources
    for room in "$shared/CLinux" "$own/CJail" "$own/CInit"; do
        name=$(basename "$room")
        printf 'module %s {\n    umbrella header "%s"\n    export *\n}\n' \
            "$name" "$room/include/$name.h" >>"$objects/module.modulemap"
        for source in "$room"/*.c; do
            clang -Os -D_GNU_SOURCE -ffunction-sections -fdata-sections -I "$room/include" \
                -c "$source" -o "$objects/$name-$(basename "$source" .c).o"
        done
    done
    # A module carries its code as SIL; only the last one is compiled, with all that it uses of the others.
    for room in "$shared/LinuxSys" "$shared/AgentProtocol" \
        "$own/Jail" "$own/Cgroup" "$own/AgentCore" "$own/kvm-agent"; do
        name=$(basename "$room" | tr - _)
        product="-emit-module"
        [ "$name" != kvm_agent ] || product="-c -o $objects/kvm_agent.swift.o"
        # shellcheck disable=SC2086
        swiftc -swift-version 6 -enable-experimental-feature Embedded -wmo -Osize -parse-as-library \
            -warnings-as-errors -module-name "$name" -emit-module-path "$objects/$name.swiftmodule" \
            -I "$objects" $product "$room"/*.swift
    done
    tables=$(dirname "$(dirname "$(readlink -f "$(command -v swiftc)")")")
    tables=$tables/lib/swift/embedded/x86_64-unknown-linux-gnu/libswiftUnicodeDataTables.a
    binary=$objects/kvm-agent
    # shellcheck disable=SC2046
    clang -static -fuse-ld=lld -Wl,--gc-sections,--icf=all,--build-id=none -o "$binary" \
        "$objects/kvm_agent.swift.o" $(ls "$objects"/C*-*.o) "$tables" -lm
}

if [ "${EMBEDDED:-1}" = 1 ]; then build_embedded; else build_full; fi

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
# What the agent mounts on; /dev/console is the first process's stdio, before there is a devtmpfs.
mkdir "$tree/dev" "$tree/mnt" "$tree/proc" "$tree/run" "$tree/sys" "$tree/tmp"
mknod -m 0600 "$tree/dev/console" c 5 1
strip --strip-all --remove-section=.comment --remove-section=.swift1_autolink_entries -o "$tree/init" "$binary"
chmod 0755 "$tree" "$tree/init"
find "$tree" -exec touch --no-dereference --date=@0 {} +

temporary=$(mktemp "$(dirname "$output")/.initramfs.XXXXXX")
# --reproducible leaves out inode numbers and devices; the order is this list's.
(cd "$tree" && printf '%s\n' . dev dev/console mnt proc run sys tmp init |
    cpio --quiet --create --format=newc --owner=0:0 --reproducible --block-size=1) >"$temporary"
chmod 0644 "$temporary"
mv "$temporary" "$output"
size=$(stat -c %s "$output")
echo "$output: $size bytes" >&2
# Every megabyte costs memory and time in every guest.
[ "$size" -le 8500000 ] || { echo "the initramfs is larger than 8.5 MB" >&2; exit 1; }
