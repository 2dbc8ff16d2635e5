#!/usr/bin/env python3
"""Measures kvm-runtime against a floor in the same run: `make bench`, or Benchmarks/run.py [start] [memory] [stream].

The floor of a start is QEMU with the same flags and kernel and an init that powers off at once. The floor of the output
is a program in the guest that writes to a bare vsock stream. Figures are medians; machines are noisy, so quote ratios.
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
BUILD = os.environ.get("KVM_RUNTIME_BUILD", os.path.join(TOP, "build"))
RUNTIME = os.path.join(BUILD, "bin", "kvm-runtime")
VMM = os.path.join(BUILD, "bin", "kvm-vmm")
KERNEL = os.path.join(BUILD, "share", "kvm-runtime", "vmlinux")
MIB = 1 << 20


def bundle(work, name, arguments):
    """A bundle with a busybox rootfs and the default config.json, without a terminal."""
    path = os.path.join(work, name)
    os.makedirs(os.path.join(path, "rootfs", "bin"))
    for place in ("proc", "sys", "dev"):
        os.makedirs(os.path.join(path, "rootfs", place))
    shutil.copy("/bin/busybox", os.path.join(path, "rootfs", "bin", "busybox"))
    for applet in ("sh", "true", "dd", "cat", "sleep", "head"):
        os.symlink("busybox", os.path.join(path, "rootfs", "bin", applet))
    subprocess.run([RUNTIME, "spec", "--bundle", path], check=True)
    config = os.path.join(path, "config.json")
    with open(config) as file:
        spec = json.load(file)
    spec["process"]["terminal"] = False
    spec["process"]["args"] = arguments
    with open(config, "w") as file:
        json.dump(spec, file)
    return path


class Bench:
    def __init__(self, work, runs):
        self.work = work
        self.runs = runs
        self.root = os.path.join(work, "state")
        self.log = os.path.join(work, "log")
        self.config = os.path.join(work, "config.toml")
        self.failed = []
        with open(self.config, "w") as file:
            file.write("[guest]\ndefault_memory_mib = 128\n")

    def command(self, *arguments):
        return [RUNTIME, "--root", self.root, "--log", self.log, "--config", self.config, *arguments]

    def line(self, text, good=None):
        mark = "" if good is None else ("  ok" if good else "  MISSED")
        print(text + mark, flush=True)
        if good is False:
            self.failed.append(text)

    # The command line of the guest's QEMU, as kvm-runtime really gives it.
    def qemu_flags(self):
        wrapper = os.path.join(self.work, "qemu-wrapper")
        out = os.path.join(self.work, "qemu-flags")
        with open(wrapper, "w") as file:
            file.write('#!/bin/bash\nprintf "%s\\0" "$@" >' + out + '\nexec qemu-system-x86_64 "$@"\n')
        os.chmod(wrapper, 0o755)
        config = os.path.join(self.work, "wrapper.toml")
        with open(config, "w") as file:
            file.write(f'[paths]\nqemu = "{wrapper}"\n[guest]\ndefault_memory_mib = 128\n')
        path = bundle(self.work, "flags", ["true"])
        subprocess.run([RUNTIME, "--root", self.root, "--log", self.log, "--config", config, "run", "-b", path, "flags"],
                       check=True, stdin=subprocess.DEVNULL)
        with open(out) as file:
            return file.read().split("\0")[:-1]

    def floor_flags(self, flags, initramfs, keep_vsock=False):
        """The same flags without what needs a peer: the vhost-user devices, the control and console sockets."""
        result = []
        pairs = iter(range(len(flags)))
        i = 0
        while i < len(flags):
            word, value = flags[i], flags[i + 1] if i + 1 < len(flags) else ""
            if word == "-chardev" or word in ("-serial", "-mon"):
                i += 2
                continue
            if word == "-device" and "vhost-user" in value:
                i += 2
                continue
            if word == "-initrd":
                result += ["-initrd", initramfs]
                i += 2
                continue
            result.append(word)
            i += 1
        return result + ["-serial", "null"]

    def build(self, name):
        """Compiles a trivial init and packs it; returns the initramfs."""
        if name == "floor":
            subprocess.run([os.path.join(HERE, "floor", "build.sh"), self.work], check=True)
            return os.path.join(self.work, "floor.cpio")
        place = os.path.join(self.work, name + "-root")
        os.makedirs(os.path.join(place, "dev"))
        os.mknod(os.path.join(place, "dev", "console"), 0o20600, os.makedev(5, 1))
        subprocess.run(["gcc", "-O2", "-Wall", "-static", "-s", "-o", os.path.join(place, "init"),
                        os.path.join(HERE, name, "init.c")], check=True)
        archive = os.path.join(self.work, name + ".cpio")
        with open(archive, "wb") as file:
            subprocess.run("find . | cpio --quiet -o -H newc", shell=True, cwd=place, check=True, stdout=file)
        return archive

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
            with open(os.path.join(self.root, "idle", "state.json")) as file:
                processes = json.load(file)["processes"]
            parts = {"kvm-runtime run": run.pid, "kvm-runtime sandbox": state["pid"], "kvm-vmm": processes["kvm-vmm"]}
            total = 0.0
            for name, pid in parts.items():
                own, guest = pss(pid)
                total += own
                print(f"  {own:8.1f} MiB  PSS of {name}" + (f" (and {guest:.1f} of guest RAM mapped)" if guest else ""))
            self.line(f"  {total:8.1f} MiB  together (at most 12)", total <= 12)
            for name in ("qemu", "virtiofsd"):
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

    def wait_for_state(self, id):
        for _ in range(600):
            done = subprocess.run(self.command("state", id), capture_output=True)
            if done.returncode == 0:
                state = json.loads(done.stdout)
                if state["status"] == "running":
                    return state
            time.sleep(0.05)
        sys.exit(f"{id} did not start")

    # --- stream -----------------------------------------------------------------------------------------------

    def stream(self, mebibytes=1024):
        print(f"\nOutput: {mebibytes} MiB from a container's stdout to the caller", flush=True)
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
        print(f"  {ours:8.1f} MiB/s  container's stdout through kvm-runtime; PSS of ours at most {peak:.1f} MiB meanwhile")
        initramfs = self.build("stream")
        floors = {}
        backend = shutil.which("vhost-device-vsock")
        if backend:
            floors["bare vsock stream, vhost-device-vsock"] = self.bare(initramfs, mebibytes // 4, backend)
        floors["bare vsock stream, kvm-vmm"] = self.bare(initramfs, mebibytes // 4, None)
        for name, rate in floors.items():
            print(f"  {rate:8.1f} MiB/s  {name}")
        name, rate = next(iter(floors.items()))
        share = ours / rate
        self.line(f"  {share * 100:.0f} % of the {name} (at least 60)", share >= 0.6)
        if not backend:
            print("  vhost-device-vsock is not installed (Debian sid has it): compared with our own back end alone")

    def pss_of_all(self, id, command):
        try:
            with open(os.path.join(self.root, id, "state.json")) as file:
                state = json.load(file)
            return sum(pss(pid)[0] for pid in (command, state["pid"], state["processes"]["kvm-vmm"]))
        except (OSError, KeyError):
            return 0.0

    def bare(self, initramfs, mebibytes, backend):
        """The rate of a program in the guest that writes to a vsock stream."""
        place = tempfile.mkdtemp(dir=self.work)
        uds = os.path.join(place, "v.sock") if backend else place
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(os.path.join(place, "v.sock_5000" if backend else "vsock-5000.sock"))
        listener.listen(1)
        flags = self.floor_flags(self.qemu_flags_cached(), initramfs)
        append = flags.index("-append") + 1
        flags[append] += f" stream_mib={mebibytes}"
        device = ["-device", "vhost-user-vsock-device,chardev=vs"]
        if backend:
            vhost = os.path.join(place, "vhost.sock")
            peer = subprocess.Popen([backend, "--guest-cid", "3", "--socket", vhost, "--uds-path", uds],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while not os.path.exists(vhost):
                time.sleep(0.01)
            guest = subprocess.Popen(["qemu-system-x86_64", *flags, "-chardev", f"socket,id=vs,path={vhost}", *device])
        else:
            ours, theirs = socket.socketpair()
            directory = os.open(place, os.O_PATH)
            peer = subprocess.Popen([VMM, "vsock", "--vhost-user-fd", str(ours.fileno()), "--directory-fd",
                                     str(directory), "--cid", "3"], pass_fds=(ours.fileno(), directory))
            guest = subprocess.Popen(["qemu-system-x86_64", *flags, "-chardev", f"socket,id=vs,fd={theirs.fileno()}",
                                      *device], pass_fds=(theirs.fileno(),))
            ours.close()
            theirs.close()
            os.close(directory)
        listener.settimeout(60)
        connection, _ = listener.accept()
        connection.settimeout(60)
        began, total = time.monotonic(), 0
        # Not until the end of the stream: vhost-device-vsock doesn't pass on the end of one direction.
        while total < mebibytes * MIB:
            block = connection.recv(MIB)
            if not block:
                break
            total += len(block)
        rate = total / MIB / (time.monotonic() - began)
        connection.close()
        guest.wait()
        peer.kill()
        peer.wait()
        if total != mebibytes * MIB:
            sys.exit(f"bare stream: {total} bytes of {mebibytes * MIB}")
        return rate

    def qemu_flags_cached(self):
        if not hasattr(self, "flags"):
            shutil.rmtree(os.path.join(self.work, "flags"), ignore_errors=True)
            self.flags = self.qemu_flags()
        return self.flags


def pss(pid):
    """MiB of a process's proportional set: its own, and that of mapped guest memory."""
    own = guest = 0
    is_guest = False
    with open(f"/proc/{pid}/smaps") as file:
        for line in file:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                is_guest = "memfd:" in line
            elif line.startswith("Pss:"):
                if is_guest:
                    guest += int(line.split()[1])
                else:
                    own += int(line.split()[1])
    return own / 1024, guest / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", choices=[[], "start", "memory", "stream"], default=[])
    parser.add_argument("-n", "--runs", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kvm-runtime-bench-") as work:
        bench = Bench(work, options.runs)
        for name in options.what or ["start", "memory", "stream"]:
            getattr(bench, name)()
    if bench.failed:
        print("\nMissed:")
        for text in bench.failed:
            print(text)
        sys.exit(1)


if __name__ == "__main__":
    main()
