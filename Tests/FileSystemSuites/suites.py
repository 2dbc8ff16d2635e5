#!/usr/bin/env python3
"""Runs file system suites in a container, on a bind mount, and on the host's file system itself, and lists differences.

    suites.py [PART...]      default: all of PARTS; called by scripts/fs-suites.sh, which makes what they need

KVM_RUNTIME_TEST_FS=virtiofsd takes Debian's virtiofsd in the place of our own file system (builtin, the default).
PJDFSTEST names a folder with pjdfstest, built; without it that part is skipped. What is known to differ, and why, stands
in differences.txt; anything else is a failure. Results are left in build/fs-suites.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
BUILD = Path(os.environ.get("KVM_RUNTIME_BUILD", TOP / "build"))
RUNTIME = BUILD / "bin" / "kvm-runtime"
RESULTS = BUILD / "fs-suites"
PARTS = ("posix", "pjdfstest", "fsx", "stress", "rsync", "git", "build", "packages", "sqlite", "postgres")
VIRTIOFSD = "/usr/lib/qemu/virtiofsd"
MEMORY_MIB = 1536
# Under emulation a compiler takes ten times as long; what hangs takes for ever.
SECONDS_A_PART = 3600


class Suites:
    def __init__(self, debian: Path, programs: Path, work: Path):
        self.debian = debian
        self.programs = programs
        self.work = work
        self.backend = os.environ.get("KVM_RUNTIME_TEST_FS", "builtin")
        if self.backend not in ("virtiofsd", "builtin"):
            sys.exit(f"KVM_RUNTIME_TEST_FS is virtiofsd or builtin, not {self.backend}")
        self.pjdfstest = os.environ.get("PJDFSTEST")
        self.config = work / "config.toml"
        paths = f'[paths]\nvirtiofsd = "{VIRTIOFSD}"\n' if self.backend == "virtiofsd" else ""
        self.config.write_text(f"{paths}[guest]\ndefault_memory_mib = {MEMORY_MIB}\n")
        self.state = work / "state"

    # --- the two places -----------------------------------------------------------------------------------------------

    def binds(self, folder: Path) -> dict[str, tuple[Path, str]]:
        """What is mounted in either place: destination → source and ro or rw."""
        suites = self.work / "suites"
        if not suites.exists():
            suites.mkdir()
            shutil.copytree(HERE / "parts", suites / "parts")
            shutil.copytree(self.programs, suites / "bin")
        result = {
            "/work": (folder, "rw"),
            "/suites": (suites, "ro"),
            "/input": (self.debian / "input", "ro"),
            "/repository": (TOP, "ro"),
        }
        if self.pjdfstest:
            result["/pjdfstest"] = (Path(self.pjdfstest), "ro")
        for destination in result:
            (self.debian / "rootfs" / destination[1:]).mkdir(exist_ok=True)
        return result

    def on_host(self, script: str, folder: Path) -> list[str]:
        """In a chroot, in namespaces of its own: the same programs, and no mount or process is left."""
        root = self.debian / "rootfs"
        lines = [f"mount --bind {root} {root}", f"mount -t proc proc {root}/proc", f"mount --rbind /dev {root}/dev"]
        lines += [f"mount -t tmpfs tmpfs {root}/tmp", f"mount -t tmpfs tmpfs {root}/run"]
        for destination, (source, access) in self.binds(folder).items():
            lines.append(f"mount --bind {source} {root}{destination}")
            if access == "ro":
                lines.append(f"mount -o remount,bind,ro {root}{destination}")
        lines.append(f"mount -o remount,bind,ro {root}")
        lines.append(f"exec chroot {root} /usr/bin/env -i /bin/bash -c 'cd /work && exec /suites/parts/{script}.sh'")
        namespaces = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--net"]
        return [*namespaces, "sh", "-ec", "\n".join(lines)]

    def in_container(self, script: str, folder: Path) -> list[str]:
        bundle = self.work / f"bundle-{script}"
        bundle.mkdir()
        subprocess.run([RUNTIME, "spec", "--bundle", bundle], check=True)
        spec = json.loads((bundle / "config.json").read_text())
        process = spec["process"]
        process["terminal"] = False
        process["args"] = ["/bin/bash", "-c", f"cd /work && exec /suites/parts/{script}.sh"]
        process["noNewPrivileges"] = False
        process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 20000, "hard": 20000}]
        every = json.loads((HERE / "capabilities.json").read_text())
        process["capabilities"] = {kind: every for kind in ("bounding", "effective", "permitted", "inheritable")}
        spec["root"] = {"path": str(self.debian / "rootfs"), "readonly": True}
        for destination in ("/tmp", "/run"):
            spec["mounts"].append({"destination": destination, "type": "tmpfs", "source": "tmpfs"})
        for destination, (source, access) in self.binds(folder).items():
            mount = {"destination": destination, "type": "bind", "source": str(source), "options": ["rbind", access]}
            spec["mounts"].append(mount)
        spec["linux"]["resources"] = {"devices": [{"allow": True, "access": "rwm"}]}
        spec["linux"]["readonlyPaths"] = spec["linux"]["maskedPaths"] = []
        (bundle / "config.json").write_text(json.dumps(spec))
        return self.runtime("run", "--bundle", str(bundle), self.id(script))

    def runtime(self, *words: str) -> list[str]:
        options = ["--root", str(self.state), "--log", str(self.work / "log"), "--config", str(self.config)]
        return [str(RUNTIME), *options, *words]

    @staticmethod
    def id(script: str) -> str:
        return f"fs-suites-{script}-{os.getpid()}"

    # --- a part -------------------------------------------------------------------------------------------------------

    def run(self, part: str, place: str) -> dict[str, str]:
        """Result lines by name."""
        folder = self.work / place / part
        folder.mkdir(parents=True)
        folder.chmod(0o755)
        command = self.on_host(part, folder) if place == "host" else self.in_container(part, folder)
        began = time.monotonic()
        lines = self.lines(command, part, place)
        if (HERE / "parts" / f"{part}.after.sh").exists():
            lines += self.lines(self.on_host(f"{part}.after", folder), f"{part}.after", "host")
        output = RESULTS / place / f"{part}.txt"
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text("".join(line + "\n" for line in lines))
        print(f"  {place}: {part}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        results = {}
        for line in lines:
            if match := re.match(r"(?:not )?ok ([^ :]+)", line):
                results[match.group(1)] = line
        return results

    def lines(self, command: list[str], part: str, place: str) -> list[str]:
        # A file, no pipe: what a killed part leaves running may hold it open.
        with tempfile.TemporaryFile(dir=self.work) as output:
            run = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output)
            try:
                ending = f"exit code {run.wait(SECONDS_A_PART)}"
            except subprocess.TimeoutExpired:
                ending = f"not done after {SECONDS_A_PART} seconds"
            finally:
                if run.poll() is None:
                    run.kill()
                    run.wait()
                    if place != "host":
                        subprocess.run(self.runtime("delete", "--force", self.id(part)), check=False)
            output.seek(0)
            lines = output.read().decode(errors="backslashreplace").splitlines()
        if not lines or lines[-1] != "end":
            return [*lines, f"not ok {part}.end: {ending}"]
        return [*lines[:-1], f"ok {part}.end"]

    def compare(self, part: str, known: dict[str, str]) -> list[str]:
        """Prints what differs; returns what was not known to."""
        host, guest = self.run(part, "host"), self.run(part, self.backend)
        new, expected = [], 0
        for name in dict.fromkeys([*host, *guest]):
            here, there = host.get(name, "no result"), guest.get(name, "no result")
            # What fails on the host is a mistake of the suite, but for pjdfstest, whose failures are compared.
            if here == there and (here.startswith("ok") or part == "pjdfstest"):
                continue
            if f"{part}/{name}" in known:
                expected += 1
                print(f"    known: {name}: {known[f'{part}/{name}']}")
            else:
                new.append(f"{part}/{name}: host: {here}; {self.backend}: {there}")
                print(f"    NEW:   {name}\n             host: {here}\n             {self.backend}: {there}")
        for name in known:
            if name.startswith(part + "/") and name.split("/", 1)[1] in host:
                only = name.split("/", 1)[1]
                if host[only] == guest.get(only):
                    print(f"    gone:  {only}: it does not differ any more (differences.txt)")
        bad = sum(line.startswith("not ok") for line in host.values())
        print(f"  {part}: {len(host)} results on the host ({bad} not ok), {expected} known differences, {len(new)} new",
              flush=True)
        return new


def known_differences(backend: str) -> dict[str, str]:
    """differences.txt: `BACKEND PART/NAME REASON`; BACKEND is virtiofsd, builtin or both."""
    result = {}
    for line in (HERE / "differences.txt").read_text().splitlines():
        words = line.split(None, 2)
        if len(words) == 3 and not line.startswith("#") and words[0] in (backend, "both"):
            result[words[1]] = words[2]
    return result


def main() -> int:
    parts = sys.argv[1:] or list(PARTS)
    if unknown := [part for part in parts if part not in PARTS]:
        print(f"no such part: {', '.join(unknown)} ({', '.join(PARTS)})", file=sys.stderr)
        return 2
    debian, programs = Path(os.environ["FS_SUITES_DEBIAN"]), Path(os.environ["FS_SUITES_PROGRAMS"])
    new = []
    with tempfile.TemporaryDirectory(prefix="fs-suites-", dir=debian.parent) as work:
        os.chmod(work, 0o755)
        suites = Suites(debian, programs, Path(work))
        print(f"File system suites: the host against {suites.backend}", flush=True)
        for part in parts:
            if part == "pjdfstest" and not suites.pjdfstest:
                print("  pjdfstest: skipped: PJDFSTEST is not set")
                continue
            new += suites.compare(part, known_differences(suites.backend))
    print(f"\n{len(new)} differences that differences.txt does not know")
    for line in new:
        print(f"  {line}")
    return 1 if new else 0


if __name__ == "__main__":
    sys.exit(main())
