"""What stays behind: 200 containers made, started and deleted, and 1,000 processes exec'ed in one."""

import os
import re
import subprocess
import sys
import tempfile
import time

from common import bundle

QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
ID = "growth"
WARMING = 5


def meminfo(text, name):
    """MiB."""
    return int(re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE).group(1)) / 1024


def read(path):
    with open(path, errors="replace") as file:
        return file.read()


class Growth:
    """A part of Measures (run.py)."""

    def must(self, command, **more):
        # A file: a pipe would be the container's too, and without an end as long as it lives.
        with tempfile.TemporaryFile() as words:
            done = subprocess.run(command, **(QUIET | more), stderr=words)
            if done.returncode != 0:
                words.seek(0)
                sys.exit(f"{' '.join(command)}: {words.read().decode(errors='replace').strip()}")
        return done

    def growth(self):
        self.containers(self.asked_runs or 200)
        self.execs((self.asked_runs or 200) * 5)

    # --- containers -------------------------------------------------------------------------------------------

    def host(self):
        """What is ours on the host, by its kind, and figures of the whole machine, which others move too."""
        ours = {"processes": [], "mounts": [], "cgroups": [], "files in --root": [], "files in /tmp and /run": []}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                command = read(f"/proc/{pid}/cmdline").replace("\0", " ")
            except OSError:
                continue
            if self.work in command and int(pid) != os.getpid():
                ours["processes"].append(command.strip())
        ours["mounts"] = [line for line in read("/proc/self/mountinfo").splitlines() if self.work in line]
        for path, folders, _ in os.walk("/sys/fs/cgroup"):
            ours["cgroups"] += [os.path.join(path, folder) for folder in folders if folder == ID]
        for path, folders, files in os.walk(self.root):
            ours["files in --root"] += [os.path.join(path, name) for name in folders + files]
        for place in ("/tmp", "/run", "/dev/shm"):
            ours["files in /tmp and /run"] += [os.path.join(place, name) for name in os.listdir(place)
                                               if "kvm-runtime" in name or ID in name]
        text = read("/proc/meminfo")
        machine = {
            "MiB available": meminfo(text, "MemAvailable"), "MiB of shared memory": meminfo(text, "Shmem"),
            "MiB of the kernel's objects (Slab)": meminfo(text, "Slab"),
            "open files": int(read("/proc/sys/fs/file-nr").split()[0]),
            "processes": len([name for name in os.listdir("/proc") if name.isdigit()]),
            "mounts": len(read("/proc/self/mountinfo").splitlines()),
            "cgroups": sum(len(folders) for _, folders, _ in os.walk("/sys/fs/cgroup")),
        }
        return ours, machine

    def life(self, path, turn):
        """Half of them end by themselves, half are deleted while they run."""
        self.must(self.command("create", "--bundle", path, ID))
        self.must(self.command("start", ID))
        if turn % 2:
            return self.must(self.command("delete", "--force", ID))
        while b'"stopped"' not in self.must(self.command("state", ID), stdout=subprocess.PIPE).stdout:
            time.sleep(0.02)
        return self.must(self.command("delete", ID))

    def containers(self, count):
        print(f"\nGrowth: create, start and delete {count} times", flush=True)
        paths = [bundle(self.work, "ends", ["true"]), bundle(self.work, "runs", ["sleep", "600"])]
        for turn in range(WARMING):
            self.life(paths[turn % 2], turn)
        before, machine = self.host()
        began = time.monotonic()
        for turn in range(count):
            self.life(paths[turn % 2], turn)
        spent = time.monotonic() - began
        time.sleep(1)
        after, now = self.host()
        print(f"  {spent:.0f} s, {spent / count * 1000:.0f} ms each")
        for kind, found in after.items():
            # The benchmark's own directory is there before and after.
            more = [name for name in found if name not in before[kind]]
            self.line(f"  {len(before[kind]):6d} -> {len(found):6d}  {kind} of ours", not more)
            for name in more[:5]:
                print(f"           {name}")
        for kind, value in machine.items():
            print(f"  {value:8.0f} -> {now[kind]:8.0f}  {kind}, of the whole machine")

    # --- execs ------------------------------------------------------------------------------------------------

    def sandbox(self):
        """Of each process of the sandbox its resident MiB, without guest memory where it maps that, and descriptors; and the
        guest's free memory."""
        figures = {}
        for name, pid in self.processes(ID).items():
            status = read(f"/proc/{pid}/status")
            figures[name] = (meminfo(status, "RssAnon") + meminfo(status, "RssFile"), len(os.listdir(f"/proc/{pid}/fd")))
        text = self.must(self.command("exec", ID, "cat", "/proc/meminfo"), stdout=subprocess.PIPE).stdout.decode()
        return figures, meminfo(text, "MemFree"), meminfo(text, "Slab")

    def execs(self, count):
        print(f"\nGrowth: {count} times exec /bin/true in one container", flush=True)
        path = bundle(self.work, "execs", ["sleep", "6000"])
        self.must(self.command("run", "--detach", "--bundle", path, ID))
        try:
            for _ in range(WARMING * 10):
                self.must(self.command("exec", ID, "true"))
            # Looking opens files that nobody had opened before.
            self.sandbox()
            before, free, slab = self.sandbox()
            began = time.monotonic()
            for _ in range(count):
                self.must(self.command("exec", ID, "true"))
            spent = time.monotonic() - began
            after, free_now, slab_now = self.sandbox()
            print(f"  {spent:.0f} s, {spent / count * 1000:.0f} ms each")
            for name, (memory, descriptors) in before.items():
                more = after[name][0] - memory
                # QEMU fills its buffer for translated code, which is 1 GiB, before it uses any of it again.
                cache = name == "qemu"
                words = "(its translations)" if cache else "(1 more at most)"
                self.line(f"  {memory:8.2f} -> {after[name][0]:8.2f}  MiB resident of {name} {words}",
                          None if cache else more <= 1)
                self.line(f"  {descriptors:8d} -> {after[name][1]:8d}  descriptors of {name}",
                          after[name][1] <= descriptors)
            self.line(f"  {free:8.2f} -> {free_now:8.2f}  MiB free in the guest (2 less at most)", free - free_now <= 2)
            print(f"  {slab:8.2f} -> {slab_now:8.2f}  MiB of its kernel's objects")
        finally:
            subprocess.run(self.command("delete", "--force", ID), **QUIET)
