"""What all measurements share: bundles, the runtime's command line, lines that are good or missed, memory of a process."""

import json
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
BUILD = os.environ.get("KVM_RUNTIME_BUILD", os.path.join(TOP, "build"))
RUNTIME = os.path.join(BUILD, "bin", "kvm-runtime")
VMM = os.path.join(BUILD, "bin", "kvm-vmm")
KERNEL = os.path.join(BUILD, "share", "kvm-runtime", "vmlinux")
MIB = 1 << 20


def bundle(work, name, arguments, edit=None):
    """A bundle with a busybox rootfs and the default config.json, without a terminal. `edit` changes it further."""
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
    if edit:
        edit(spec)
    with open(config, "w") as file:
        json.dump(spec, file)
    return path


class Bench:
    def __init__(self, work, runs):
        self.work = work
        self.asked_runs = runs
        self.runs = runs or 15
        self.root = os.path.join(work, "state")
        self.log = os.path.join(work, "log")
        self.config = os.path.join(work, "config.toml")
        self.failed = []
        with open(self.config, "w") as file:
            file.write("[guest]\ndefault_memory_mib = 128\n")

    def command(self, *arguments, config=None):
        return [RUNTIME, "--root", self.root, "--log", self.log, "--config", config or self.config, *arguments]

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
        shutil.rmtree(place, ignore_errors=True)
        os.makedirs(os.path.join(place, "dev"))
        os.mknod(os.path.join(place, "dev", "console"), 0o20600, os.makedev(5, 1))
        subprocess.run(["gcc", "-O2", "-Wall", "-static", "-s", "-o", os.path.join(place, "init"),
                        os.path.join(HERE, name, "init.c")], check=True)
        archive = os.path.join(self.work, name + ".cpio")
        with open(archive, "wb") as file:
            subprocess.run("find . | cpio --quiet -o -H newc", shell=True, cwd=place, check=True, stdout=file)
        return archive

    def processes(self, id):
        """The processes of a running container's machine, by name, and its supervisor."""
        with open(os.path.join(self.root, id, "state.json")) as file:
            record = json.load(file)
        return record["processes"] | {"supervisor": record["supervisor"]["pid"]}

    def wait_for_state(self, id):
        for _ in range(600):
            done = subprocess.run(self.command("state", id), capture_output=True)
            if done.returncode == 0:
                state = json.loads(done.stdout)
                if state["status"] == "running":
                    return state
            time.sleep(0.05)
        sys.exit(f"{id} did not start")

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
