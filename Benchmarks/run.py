#!/usr/bin/env python3
"""Measures kvm-runtime against a floor in the same run: `make bench`, or Benchmarks/run.py [PART...].

The floor of a start is QEMU with the same flags and kernel and an init that powers off at once. The floor of the output
is a program in the guest that writes to a bare vsock stream (vsock.py, which compares the devices too). That of files is
Debian's virtiofsd (filesystem.py).
Figures are medians; machines are noisy, so quote ratios.
"""

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from commands import Commands
from common import MIB, Bench, bundle, pss
from filesystem import FileSystem
from growth import Growth
from nested import Nested
from together import Together
from vsock import PEER, BareVsock

PARTS = ("start", "together", "memory", "stream", "vsock", "filesystem", "commands")
# Minutes, and nothing to compare: only when they are asked for.
ASKED = ("growth", "nested")


class Measures(Bench, Commands, Growth, Nested, Together):
    # --- start ------------------------------------------------------------------------------------------------

    def start(self):
        print("\nStart: `run` of /bin/true, exec to exit", flush=True)
        flags = self.floor_flags(self.qemu_flags(), self.build("floor"))
        path = bundle(self.work, "true", ["/bin/true"])
        timeline = os.path.join(self.work, "timeline.json")
        commands = {
            "floor (QEMU, same kernel, init that powers off)": ["qemu-system-x86_64", *flags],
            "kvm-runtime run /bin/true": self.command("run", "--timeline", timeline, "-b", path, "bench"),
        }
        for name in ("crun", "runc", "runsc"):
            if shutil.which(name):
                commands[name + " run /bin/true"] = self.other(name, path)
        times = {name: [] for name in commands}
        ours = []
        usable = dict(commands)
        for turn in range(self.runs + 1):
            for name, command in list(usable.items()):
                began = time.monotonic()
                done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
                spent = (time.monotonic() - began) * 1000
                if done.returncode != 0:
                    words = done.stderr.decode(errors="replace").strip().splitlines()
                    print(f"  {name}: exit code {done.returncode}: {words[-1] if words else ''}")
                    if "kvm-runtime" in name or "floor" in name:
                        sys.exit(1)
                    del usable[name]
                    continue
                if turn == 0:
                    continue
                times[name].append(spent)
                if name.startswith("kvm-runtime"):
                    with open(timeline) as file:
                        used = json.load(file)["otherData"]["processorMilliseconds"]
                    ours.append(sum(used.get(part, 0) for part in ("command", "supervisor", "kvm-vmm")))
        medians = {}
        for name, values in times.items():
            if not values:
                continue
            medians[name] = statistics.median(values)
            print(f"  {medians[name]:8.1f} ms  {name}  (min {min(values):.1f}, max {max(values):.1f})")
        names = list(commands)
        ratio = medians[names[1]] / medians[names[0]]
        self.line(f"  ratio to the floor: {ratio:.2f} (at most 1.4)", ratio <= 1.4)
        processor = statistics.median(ours)
        self.line(f"  processor time of kvm-runtime and kvm-vmm: {processor:.1f} ms (at most 40)", processor <= 40)

    def other(self, name, path):
        """Another runtime on the same bundle; crun wants a pure view of the cgroups on hybrid machines."""
        if name == "crun" and os.path.isdir("/sys/fs/cgroup/unified"):
            return ["unshare", "-m", "--propagation", "private", "sh", "-c",
                    'umount -l /sys/fs/cgroup/unified; exec "$@"', "x", "crun", "run", "-b", path, "bench-crun"]
        if name == "runsc":
            return ["runsc", "--network", "none", "--root", os.path.join(self.work, "runsc"), "run", "-bundle", path,
                    "bench-runsc"]
        return [name, "run", "-b", path, "bench-" + name]

    # --- memory -----------------------------------------------------------------------------------------------

    def memory(self):
        print("\nMemory: an idle container (sleep) in a guest of 128 MiB", flush=True)
        path = bundle(self.work, "sleep", ["sleep", "600"])
        run = subprocess.Popen(self.command("run", "-b", path, "idle"), stdin=subprocess.DEVNULL)
        try:
            state = self.wait_for_state("idle")
            time.sleep(1)
            processes = self.processes("idle")
            parts = {"kvm-runtime run": run.pid, "kvm-runtime sandbox": processes["supervisor"],
                     "the stand-in": state["pid"], "kvm-vmm": processes["kvm-vmm"]}
            total = 0.0
            for name, pid in parts.items():
                own, guest = pss(pid)
                total += own
                print(f"  {own:8.1f} MiB  PSS of {name}" + (f" (and {guest:.1f} of guest RAM mapped)" if guest else ""))
            self.line(f"  {total:8.1f} MiB  together (at most 12)", total <= 12)
            for name in ("qemu", "virtiofsd"):
                if name not in processes:
                    continue
                own, guest = pss(processes[name])
                print(f"  {own:8.1f} MiB  PSS of {name}" + (f" and {guest:.1f} of guest RAM" if guest else ""))
        finally:
            run.send_signal(signal.SIGKILL)
            run.wait()
            time.sleep(1)
            subprocess.run(self.command("delete", "--force", "idle"))
        path = bundle(self.work, "meminfo", ["sh", "-c", "cat /proc/meminfo"])
        text = subprocess.run(self.command("run", "-b", path, "meminfo"), stdin=subprocess.DEVNULL, check=True,
                              capture_output=True, text=True).stdout
        free = int(re.search(r"MemAvailable:\s+(\d+) kB", text).group(1)) / 1024
        self.line(f"  {free:8.1f} MiB  available in the guest (at least 85)", free >= 85)

    # --- stream -----------------------------------------------------------------------------------------------

    def stream(self, mebibytes=1024):
        print(f"\nOutput: {mebibytes} MiB from a container's stdout to the caller", flush=True)
        bare = BareVsock(self)
        backend = shutil.which(PEER)
        names = {"container's stdout through kvm-runtime": lambda: self.output(mebibytes)}
        if backend:
            names["bare vsock stream, " + PEER] = lambda: bare.run("out", mebibytes // 4, backend)
        names["bare vsock stream, kvm-vmm"] = lambda: bare.run("out", mebibytes // 4, None)
        rates = {name: [] for name in names}
        for _ in range(min(self.runs, 3)):
            for name, measure in names.items():
                rates[name].append(measure())
        medians = {name: statistics.median(values) for name, values in rates.items()}
        for name, rate in medians.items():
            print(f"  {rate:8.1f} MiB/s  {name}")
        (_, ours), (name, floor) = list(medians.items())[:2]
        self.line(f"  {ours / floor * 100:.0f} % of the {name} (at least 60)", ours / floor >= 0.6)
        if not backend:
            print(f"  {PEER} is not installed (Debian sid has it): compared with our own back end alone")

    def output(self, mebibytes):
        """MiB a second."""
        shutil.rmtree(os.path.join(self.work, "zeros"), ignore_errors=True)
        path = bundle(self.work, "zeros", ["dd", "if=/dev/zero", "bs=64k", f"count={mebibytes * 16}"])
        run = subprocess.Popen(self.command("run", "-b", path, "stream"), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        total, began, peak = 0, None, 0.0
        while True:
            block = run.stdout.read1(MIB)
            if not block:
                break
            if began is None:
                began = time.monotonic()
            if total // (64 * MIB) != (total + len(block)) // (64 * MIB):
                peak = max(peak, self.pss_of_all("stream", run.pid))
            total += len(block)
        ours = total / MIB / (time.monotonic() - began)
        code = run.wait()
        self.line(f"  {total} bytes of {mebibytes * MIB}, exit code {code}", total == mebibytes * MIB and code == 0)
        print(f"  PSS of ours at most {peak:.1f} MiB meanwhile")
        return ours

    def pss_of_all(self, id, command):
        try:
            with open(os.path.join(self.root, id, "state.json")) as file:
                state = json.load(file)
            return sum(pss(pid)[0] for pid in (command, state["pid"], state["processes"]["kvm-vmm"]))
        except (OSError, KeyError):
            return 0.0

    # --- vsock ------------------------------------------------------------------------------------------------

    def vsock(self):
        BareVsock(self).measure(256, self.asked_runs or 5)

    # --- filesystem -------------------------------------------------------------------------------------------

    def filesystem(self):
        FileSystem(self).measure(self.asked_runs or 3)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", metavar="PART",
                        help=", ".join(PARTS) + "; all of them if none is given; or " + ", ".join(ASKED))
    parser.add_argument("-n", "--runs", type=int,
                        help="default: 15 of a start, 5 of vsock, 3 of the file systems and of starts at once, 200 of growth")
    options = parser.parse_args()
    for name in options.what:
        if name not in PARTS + ASKED:
            parser.error(f"no such part: {name} ({', '.join(PARTS + ASKED)})")
    with tempfile.TemporaryDirectory(prefix="kvm-runtime-bench-") as work:
        bench = Measures(work, options.runs)
        for name in options.what or PARTS:
            getattr(bench, name)()
    if bench.failed:
        print("\nMissed:")
        for text in bench.failed:
            print(text)
        sys.exit(1)


if __name__ == "__main__":
    main()
