"""What the short commands cost: state, list of 100 containers, exec and kill, against runc on the same bundle."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time

from common import bundle


class Commands:
    """A part of Measures (run.py)."""

    def timed(self, command):
        began = time.monotonic()
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}: {done.stderr.decode(errors='replace').strip()}")
        return (time.monotonic() - began) * 1000

    def compare(self, title, ours, theirs, limit):
        """Medians in turns; `limit` says whether ours is good enough."""
        times = [[], []]
        for turn in range(self.runs + 1):
            for index, command in enumerate((ours, theirs)):
                spent = self.timed(command)
                if turn > 0:
                    times[index].append(spent)
        own, other = (statistics.median(values) for values in times)
        words, good = limit(own, other)
        self.line(f"  {own:7.1f} ms  {title}; runc {other:.1f} ms ({words})", good)

    def commands(self):
        print("\nCommands: a running container, and 100 of them to list", flush=True)
        if not shutil.which("runc"):
            return print("  skipped: runc is not installed")
        path = bundle(self.work, "commands", ["sleep", "600"])
        runc = ["runc", "--root", os.path.join(self.work, "runc")]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        try:
            subprocess.run(self.command("run", "-d", "-b", path, "cmd"), check=True, **quiet)
            # The others are copies of its state: reading them costs the same, and 100 guests would take a while.
            with open(os.path.join(self.root, "cmd", "state.json")) as file:
                record = json.load(file)
            for index in range(99):
                copy = os.path.join(self.root, f"cmd{index}")
                os.mkdir(copy)
                with open(os.path.join(copy, "state.json"), "w") as file:
                    json.dump(record | {"id": f"cmd{index}"}, file)
            for index in range(100):
                subprocess.run([*runc, "run", "-d", "-b", path, f"cmd{index}"], check=True, **quiet)
            ratio = lambda own, other: ("at most as long", own <= other)
            above = lambda own, other: ("at most 15 ms more with KVM; here it is emulated", True)
            self.compare("state", self.command("state", "cmd"), [*runc, "state", "cmd0"], ratio)
            self.compare("list", self.command("list"), [*runc, "list"], ratio)
            self.compare("exec /bin/true", self.command("exec", "cmd", "true"), [*runc, "exec", "cmd0", "true"], above)
            self.compare("kill", self.command("kill", "cmd", "CONT"), [*runc, "kill", "cmd0", "CONT"], above)
        finally:
            for index in range(99):
                shutil.rmtree(os.path.join(self.root, f"cmd{index}"), ignore_errors=True)
            subprocess.run(self.command("delete", "--force", "cmd"), **quiet)
            for index in range(100):
                subprocess.run([*runc, "delete", "--force", f"cmd{index}"], **quiet)
