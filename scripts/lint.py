#!/usr/bin/env python3
"""Holds the code against the house: format, arrows between the rooms, Unsafe, sizes, marks, C and shell warnings.

    lint.py             everything
    lint.py CHECK...    some of it: format, rooms, warnings, unsafe, sizes, marks, c, shell

Prints one line a finding, `path:line: what is wrong`, and exits with 1 if there was one. Needs Swift's toolchain
(swift format, swift package, clang); shellcheck is used where it is installed, and required where CI is set.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = (ROOT, ROOT / "guest-agent")

# ------------------------------------------------------------------------------------------------- the house's rules

# Which rooms (targets) a room may know. Package.swift may declare less than this, never more: who wants an arrow that
# is not here changes the house, so this table, docs/architecture.md and Package.swift together. A room that is not
# here is an error as well.
ARROWS: dict[str, set[str]] = {
    # Thin C.
    "CLinux": set(),
    "CSpawn": set(),
    "CKVM": set(),
    "CFileCalls": set(),
    "CSeccomp": set(),
    "CCap": set(),
    # The system, owned and typed.
    "LinuxSys": {"CLinux"},
    "Spawn": {"CSpawn", "LinuxSys"},
    "Netlink": {"LinuxSys"},
    "DBus": {"LinuxSys"},
    "KVM": {"CKVM", "LinuxSys"},
    "FileCalls": {"CFileCalls", "CLinux", "LinuxSys"},
    # Formats and protocols: no input, no output.
    "JSON": set(),
    "OCISpec": {"JSON"},
    "AgentProtocol": set(),
    "VMMWire": set(),
    "JailCompiler": {"CSeccomp", "OCISpec", "AgentProtocol", "LinuxSys"},
    # Devices: no idea of KVM, MMIO or the runtime.
    "GuestMemory": {"LinuxSys", "CLinux"},
    "Virtio": {"GuestMemory"},
    "VirtioVsock": {"Virtio", "GuestMemory", "VMMWire", "LinuxSys"},
    "DeviceTesting": {"Virtio", "GuestMemory"},
    "VirtioFS": {"Virtio", "GuestMemory", "FileCalls", "VMMWire", "LinuxSys"},
    "VirtioBlock": {"Virtio", "GuestMemory", "FileCalls", "LinuxSys"},
    "VhostUser": {"Virtio", "GuestMemory", "LinuxSys"},
    # Virtual machines, as the runtime sees them.
    "VMDriver": {"VMMWire", "LinuxSys"},
    "QEMUDriver": {"VMDriver", "VMMWire", "FileCalls", "Spawn", "LinuxSys", "JSON"},
    # The runtime. It talks to the kvm-vmm process and never imports what that is made of.
    "StateStore": {"LinuxSys", "OCISpec", "JSON"},
    "Runtime": {
        "CLinux", "LinuxSys", "Spawn", "Netlink", "JSON", "OCISpec", "AgentProtocol", "JailCompiler", "KVM", "VMMWire", "VMDriver",
        "QEMUDriver", "StateStore", "DBus", "Logging",
    },
    # Programs: parse, call, print.
    "kvm-runtime": {"Runtime", "LinuxSys", "OCISpec", "ArgumentParser"},
    "kvm-vmm": {
        "VhostUser", "Virtio", "VirtioVsock", "VirtioFS", "VirtioBlock", "FileCalls", "VMMWire", "LinuxSys",
    },
    # Tests that are no test targets: what libFuzzer and the unit tests run.
    "FuzzTargets": {
        "VhostUser", "VirtioVsock", "VirtioFS", "VirtioBlock", "Virtio", "GuestMemory", "FileCalls", "VMMWire",
        "AgentProtocol", "OCISpec", "JailCompiler", "JSON", "LinuxSys", "CLinux",
    },
    "kvm-fuzz": {"FuzzTargets", "LinuxSys"},
    # The guest.
    "CInit": set(),
    "CJail": set(),
    "Jail": {"CJail", "CLinux", "LinuxSys", "AgentProtocol"},
    "Cgroup": {"CLinux", "LinuxSys", "AgentProtocol"},
    "AgentCore": {"Jail", "Cgroup", "CLinux", "LinuxSys", "Netlink", "AgentProtocol"},
    "kvm-agent": {"CInit", "AgentCore", "LinuxSys", "AgentProtocol"},
}  # fmt: skip

TABLE = "ARROWS in scripts/lint.py"

# Modules of the toolchain. Glibc is for the rooms that deal with the system, which are those that may know LinuxSys;
# formats, protocols and queues have no business with it.
SYSTEM_MODULES = {"Synchronization"}
TEST_MODULES = {"Testing", "Foundation", "FoundationEssentials", "Glibc"}

# Unsafe… is at home here, and in no other Swift file but these.
UNSAFE_ROOMS = {"LinuxSys", "KVM", "FileCalls", "GuestMemory", "VhostUser"}
UNSAFE_FILES = {
    "Sources/Spawn/Program.swift": "argv, envp and the C structures that CSpawn's clone-to-exec code reads",
    "Sources/Spawn/StandInProcess.swift": "the C structure that CSpawn's stand-in is made from, and argv, for ps",
    "Sources/Spawn/CStrings.swift": "C strings for the same two",
    "Sources/JailCompiler/SeccompCompiler.swift": "libseccomp's handle",
    "guest-agent/Sources/Jail/FlatPlan.swift": "the container's description, flattened for the C child",
}
UNSAFE = re.compile(r"\b\w*Unsafe\w*|\bunsafe(?!Flags)\w*|\bUnmanaged\b|\bOpaquePointer\b")

MAX_LINES = 500
WARN_LINES = 350

# Outside Tests: nothing unfinished, and nothing that takes the process down because of what it was given.
MARKS_IN_TEXT = re.compile(r"\b(TODO|FIXME|XXX)\b")
MARKS_IN_CODE = re.compile(r"\bfatalError\s*\(|\btry!|\bas!")

C_FLAGS = ["-std=gnu17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]

# ------------------------------------------------------------------------------------------------------- the machinery

findings: list[str] = []
notes: list[str] = []


def found(path: Path | str, line: int | None, what: str) -> None:
    name = path.relative_to(ROOT) if isinstance(path, Path) else path
    findings.append(f"{name}:{line}: {what}" if line else f"{name}: {what}")


@cache
def files(*suffixes: str) -> list[Path]:
    """The checkout's files; what was built and what is hidden is not looked at, but for .ci."""
    result = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(
            name
            for name in folders
            if name == ".ci" or not (name.startswith(".") or name in ("build", "rootfs", "__pycache__"))
        )
        result += [Path(folder, name) for name in sorted(names) if name.endswith(suffixes)]
    return result


def in_tests(path: Path) -> bool:
    return "Tests" in path.relative_to(ROOT).parts


def blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match.group())


@cache
def code(path: Path) -> str:
    """A Swift file with its comments and strings blanked out, its lines where they were."""
    text = path.read_text(encoding="utf-8")
    literals = r'(#+)".*?"\1|""".*?"""|"(?:\\.|[^"\\\n])*"'
    comments = r"//[^\n]*|/\*(?:[^/*]|/(?!\*)|\*(?!/)|/\*.*?\*/)*\*/"
    return re.sub(f"{literals}|{comments}", blank, text, flags=re.DOTALL)


def search(path: Path, text: str, pattern: re.Pattern[str], say: str) -> None:
    for number, line in enumerate(text.splitlines(), 1):
        if match := pattern.search(line):
            found(path, number, say.format(match.group().strip()))


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True, check=False)


# ------------------------------------------------------------------------------------------------------- the packages


@cache
def manifest(package: Path) -> dict:
    result = run("swift", "package", "--package-path", package, "dump-package")
    if result.returncode != 0:
        sys.exit(f"lint.py: swift package dump-package failed for {package}:\n{result.stderr}")
    return json.loads(result.stdout)


def packages() -> list[Path]:
    return [package for package in PACKAGES if (package / "Package.swift").exists()]


class Target:
    def __init__(self, package: Path, description: dict):
        self.name: str = description["name"]
        self.test: bool = description["type"] == "test"
        folder = description.get("path") or f"{'Tests' if self.test else 'Sources'}/{self.name}"
        self.path = package / folder
        self.manifest = package / "Package.swift"
        self.settings: list[dict] = description["settings"]
        self.module = re.sub(r"\W", "_", self.name)
        # What it declares by name, and what comes along in a library of ours that it declares (AgentRooms): of those
        # it may leave out what it does not need, and must leave out what the house forbids.
        self.declared: set[str] = set()
        self.bundled: set[str] = set()
        for dependency in description["dependencies"]:
            kind, values = next(iter(dependency.items()))
            if kind == "product" and values[0] in libraries():
                self.bundled |= libraries()[values[0]]
            else:
                self.declared.add(values[0])

    @property
    def dependencies(self) -> set[str]:
        return self.declared | self.bundled

    def files(self, *suffixes: str) -> list[Path]:
        return [path for path in files(*suffixes) if path.is_relative_to(self.path)]


@cache
def libraries() -> dict[str, set[str]]:
    """Our own libraries, which stand for their rooms. Another package's product is called as its module."""
    return {
        product["name"]: set(product["targets"])
        for package in packages()
        for product in manifest(package)["products"]
        if "library" in product["type"]
    }


@cache
def targets() -> list[Target]:
    return [Target(package, description) for package in packages() for description in manifest(package)["targets"]]


# --------------------------------------------------------------------------------------------------------- the checks


def check_format() -> None:
    paths = [name for name in ("Sources", "Tests", "guest-agent", "Package.swift") if (ROOT / name).exists()]
    result = run("swift", "format", "lint", "--strict", "--recursive", "--parallel", *paths)
    output = (result.stdout + result.stderr).splitlines()
    for line in output:
        findings.append(line.removeprefix(f"{ROOT}/"))
    if result.returncode != 0 and not output:
        found("swift format", None, f"exited with {result.returncode}")


IMPORT = re.compile(
    r"^[ \t]*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|fileprivate|private)\s+)?"
    r"import\s+(?:(?:struct|class|enum|protocol|typealias|func|let|var)\s+)?(\w+)",
    re.MULTILINE,
)


def check_rooms() -> None:
    names = {target.module: target.name for target in targets()}
    held: set[Path] = set()
    for target in targets():
        if not target.test:
            check_arrows(target)
        sources = target.files(".swift")
        held.update(sources)
        imported = set()
        for path in sources:
            for match in IMPORT.finditer(code(path)):
                module = names.get(match.group(1), match.group(1))
                imported.add(module)
                line = code(path).count("\n", 0, match.start(1)) + 1
                if module.startswith("Foundation") and not target.test:
                    found(path, line, f"import {module}: Foundation is for tests only")
                elif module not in target.dependencies | system_modules(target):
                    found(path, line, f"import {module}: {target.name} does not declare it in Package.swift")
                elif not target.test and module in target.bundled - ARROWS.get(target.name, set()):
                    found(path, line, f"import {module}: the house has no arrow {target.name} → {module} ({TABLE})")
        if sources and not target.test:
            for unused in sorted(target.declared - imported):
                found(target.manifest, None, f"{target.name} declares {unused} and never imports it")
    for path in files(".swift"):
        if path not in held and path.name != "Package.swift":
            found(path, None, "no target holds this file")


def system_modules(target: Target) -> set[str]:
    if target.test:
        return SYSTEM_MODULES | TEST_MODULES
    system = {target.name} | ARROWS.get(target.name, set())
    return SYSTEM_MODULES | ({"Glibc"} if "LinuxSys" in system else set())


def check_arrows(target: Target) -> None:
    if target.name not in ARROWS:
        found(target.manifest, None, f"{target.name} is a room without arrows ({TABLE})")
        return
    for wrong in sorted(target.declared - ARROWS[target.name]):
        found(target.manifest, None, f"{target.name} → {wrong}: the house has no such arrow ({TABLE})")


def check_warnings() -> None:
    """Every target of ours treats warnings as errors by its own settings: so no build can forget it, and the packages
    of others are left alone."""
    for target in targets():
        tool = "c" if target.files(".c") else "swift"
        setting = {"kind": {"treatAllWarnings": {"_0": "error"}}, "tool": tool}
        if setting not in target.settings:
            found(target.manifest, None, f"{target.name} lacks .treatAllWarnings(as: .error)")


def check_unsafe() -> None:
    rooms = [target.path for target in targets() if target.name in UNSAFE_ROOMS]
    for path in files(".swift"):
        allowed = in_tests(path) or str(path.relative_to(ROOT)) in UNSAFE_FILES
        if not allowed and not any(path.is_relative_to(room) for room in rooms):
            search(path, code(path), UNSAFE, f"{{}} is at home in {', '.join(sorted(UNSAFE_ROOMS))} only")


def check_sizes() -> None:
    sizes = []
    for path in files(".swift", ".c", ".h"):
        lines = path.read_text(encoding="utf-8").count("\n")
        if not in_tests(path):
            sizes.append(lines)
        if lines > MAX_LINES:
            found(path, None, f"{lines} lines; {MAX_LINES} at most")
        elif lines > WARN_LINES:
            notes.append(f"{path.relative_to(ROOT)}: {lines} lines; more than {WARN_LINES} is hard to hold in the head")
    if len(sizes) > 1:
        p90 = statistics.quantiles(sizes, n=10)[8]
        notes.append(
            f"{len(sizes)} files, {sum(sizes)} lines without tests: median {statistics.median(sizes):.0f}, "
            f"90 % under {p90:.0f}, longest {max(sizes)}"
        )


def check_marks() -> None:
    here = Path(__file__).resolve()
    for path in files(".swift", ".c", ".h", ".sh", ".py", ".fragment", "Makefile"):
        if in_tests(path) or path == here:
            continue
        search(path, path.read_text(encoding="utf-8"), MARKS_IN_TEXT, "{}: finish it, or open an issue")
        if path.suffix == ".swift":
            search(path, code(path), MARKS_IN_CODE, "{}: throw an error that says what to do")


def check_c() -> None:
    rooms = {target.name: target for target in targets() if target.files(".c")}
    for path in files(".c"):
        room = next((target for target in rooms.values() if path.is_relative_to(target.path)), None)
        flags: list[str] = []
        if room:
            # As SwiftPM compiles them.
            known = [room, *(rooms[name] for name in room.dependencies if name in rooms)]
            flags = ["-D_GNU_SOURCE", *(f"-I{other.path / 'include'}" for other in known)]
        result = run("clang", *C_FLAGS, *flags, path)
        if result.returncode != 0:
            findings.append(result.stderr.strip().replace(f"{ROOT}/", ""))


def check_shell() -> None:
    scripts = files(".sh") + [path for path in (ROOT / ".ci" / "run",) if path.exists()]
    if shutil.which("shellcheck"):
        result = run("shellcheck", "--external-sources", "--format=gcc", *(path.relative_to(ROOT) for path in scripts))
        findings.extend(result.stdout.splitlines() + result.stderr.splitlines())
    elif os.environ.get("CI"):
        found("shellcheck", None, "not installed: apt-get install shellcheck")
    else:
        notes.append("shellcheck is not installed: shell scripts were not looked at (make deps)")
    for path in scripts:
        if not os.access(path, os.X_OK) and path.read_text().startswith("#!"):
            found(path, None, "not executable")


CHECKS = {
    "format": check_format,
    "rooms": check_rooms,
    "warnings": check_warnings,
    "unsafe": check_unsafe,
    "sizes": check_sizes,
    "marks": check_marks,
    "c": check_c,
    "shell": check_shell,
}


def main() -> int:
    names = sys.argv[1:] or list(CHECKS)
    if unknown := [name for name in names if name not in CHECKS]:
        print(f"lint.py: no such check: {', '.join(unknown)} ({', '.join(CHECKS)})", file=sys.stderr)
        return 2
    for name in names:
        start, before = time.monotonic(), len(findings)
        CHECKS[name]()
        count = len(findings) - before
        print(f"{name:8} {'ok' if count == 0 else f'{count} findings':14} {time.monotonic() - start:5.1f} s")
    for note in notes:
        print(f"note: {note}")
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
