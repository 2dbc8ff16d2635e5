"""The processor time of 20 containers that start at once, against the same 20 in a row."""

import resource
import statistics
import subprocess
import sys

from common import bundle

COUNT = 20
MOST = 1.3


def spent():
    """Processor seconds of all that this process has waited for, and they for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Together:
    """A part of Measures (run.py)."""

    def together(self):
        rounds = self.asked_runs or 3
        print(f"\n{COUNT} containers of /bin/true: all at once, and in a row; {rounds} rounds", flush=True)
        paths = [bundle(self.work, f"together-{number}", ["/bin/true"]) for number in range(COUNT)]
        runs = [self.command("run", "-b", path, f"together-{number}") for number, path in enumerate(paths)]
        # The first one pays for the check of the machine.
        self.in_a_row(runs[:1])
        row, once = [], []
        for turn in range(rounds):
            # In turn, and each first as often as second.
            for way, times in ((self.in_a_row, row), (self.at_once, once))[::1 if turn % 2 == 0 else -1]:
                began = spent()
                way(runs)
                times.append(spent() - began)
        ratio = statistics.median(once) / statistics.median(row)
        each = ", ".join(f"{a / b:.2f}" for a, b in zip(once, row))
        print(f"  {statistics.median(row):8.1f} s  of processor time in a row")
        print(f"  {statistics.median(once):8.1f} s  at once")
        self.line(f"  ratio: {ratio:.2f} (at most {MOST}; by round {each})", ratio <= MOST)

    def in_a_row(self, runs):
        for command in runs:
            self.check(subprocess.Popen(command, stdin=subprocess.DEVNULL))

    def at_once(self, runs):
        for run in [subprocess.Popen(command, stdin=subprocess.DEVNULL) for command in runs]:
            self.check(run)

    def check(self, run):
        if run.wait() != 0:
            sys.exit(f"{' '.join(run.args)}: exit code {run.returncode}")
