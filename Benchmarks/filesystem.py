"""The file system against Debian's virtiofsd: same QEMU, same guest, one run, both back ends in turn.

KVM_RUNTIME_TEST_FS=virtiofsd or builtin measures one of them, without a ratio.
"""

import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time

from common import HERE, bundle, pss

VIRTIOFSD = "/usr/lib/qemu/virtiofsd"
KERNEL_SOURCE = "/usr/src/linux-source-6.1.tar.xz"
MEMORY_MIB = 512
# The larger tree is what is wanted; virtiofsd holds a descriptor for each file that the guest has in its cache, and
# where the limit can't be raised (CAP_SYS_RESOURCE) it fails there.
TREES, FOLDER = (15_000, 50_000), 200
WALKED = 5_000
# Wanted of ours: the speed of virtiofsd, and a fifth more where names and attributes are what it is about.
WANTED, WANTED_METADATA = 1.0, 1.2
METADATA = ("create", "stat", "unlink", "find", "untar", "rm")
# Two starts differ by chance alone, in either direction.
START_NOISE = 1.02
MAXIMUM_PSS_MIB = 10
# What a volume may cost: an entry in a list, and no page of its own that could be told from noise.
VOLUME_PSS_MIB = 0.02


class FileSystem:
    def __init__(self, bench):
        self.bench = bench
        self.work = os.path.join(bench.work, "filesystem")
        os.makedirs(self.work)
        chosen = os.environ.get("KVM_RUNTIME_TEST_FS")
        if chosen not in (None, "virtiofsd", "builtin"):
            sys.exit(f"KVM_RUNTIME_TEST_FS is virtiofsd or builtin, not {chosen}")
        self.backends = [chosen] if chosen else ["virtiofsd", "builtin"]
        self.configs = {}
        for name in self.backends:
            self.configs[name] = os.path.join(self.work, name + ".toml")
            with open(self.configs[name], "w") as file:
                if name == "virtiofsd":
                    file.write(f'[paths]\nvirtiofsd = "{VIRTIOFSD}"\n')
                file.write(f"[guest]\ndefault_memory_mib = {MEMORY_MIB}\n")

    def measure(self, rounds):
        print(f"\nFile system: a volume in a guest of {MEMORY_MIB} MiB, {rounds} rounds of {' and '.join(self.backends)}; "
              "cold: nothing cached by the guest (the host has it)", flush=True)
        self.start()
        self.memory()
        self.speed(rounds)

    def run(self, backend, path, id, **options):
        command = self.bench.command("run", "-b", path, id, config=self.configs[backend])
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)

    def compare(self, name, spent, goal, unit="ms"):
        """`spent` by back end: figures, or the reason (text) why there is none."""
        words = ", ".join(f"{key} {value if isinstance(value, str) else format(value, '.0f')}" for key, value in spent.items())
        if "builtin" in spent and isinstance(spent["builtin"], str):
            self.bench.line(f"    -    {name} ({words})", False)
        elif len(spent) < 2 or isinstance(spent["virtiofsd"], str):
            print(f"    -    {name} ({words} {unit})", flush=True)
        else:
            ratio = spent["virtiofsd"] / spent["builtin"]
            self.bench.line(f"  {ratio:5.2f}  {name} (at least {goal}; {words} {unit})", ratio >= goal)

    # --- speed ------------------------------------------------------------------------------------------------

    def speed(self, rounds):
        trees, archive = self.trees(), self.archive()
        times = {name: {} for name in self.backends}
        for turn in range(rounds):
            # In turn, and each first as often as second.
            for backend in self.backends if turn % 2 == 0 else reversed(self.backends):
                for name, spent in self.one_round(backend, trees, archive, turn):
                    times[backend].setdefault(name, []).append(spent)
        for name in times[self.backends[0]]:
            goal = WANTED_METADATA if name.startswith(METADATA) else WANTED
            self.compare(name, {backend: median(times[backend][name]) for backend in self.backends}, goal)

    def one_round(self, backend, trees, archive, turn):
        volume = os.path.join(self.work, "volume")
        os.makedirs(volume)

        def edit(spec):
            # files drops the guest's caches by a file of /proc/sys.
            spec["linux"]["readonlyPaths"] = []
            mounts(spec, {"/volume": volume, "/trees": trees, "/input": os.path.dirname(archive)})

        id = f"files-{backend}-{turn}"
        words = ["/bin/files", "/volume", "/input/" + os.path.basename(archive), *(f"/trees/{size}" for size in TREES)]
        path = bundle(self.work, id, words, edit)
        shutil.copy(self.program(), os.path.join(path, "rootfs", "bin", "files"))
        run = self.run(backend, path, id, stdout=subprocess.PIPE, text=True)
        output = run.communicate()[0]
        if run.returncode != 0:
            sys.exit(f"{id}: exit code {run.returncode}")
        shutil.rmtree(volume)
        shutil.rmtree(path)
        lines = (line.split("\t") for line in output.splitlines())
        return [(name, float(spent) if re.fullmatch(r"[0-9.]+", spent) else spent) for name, spent in lines]

    def program(self):
        path = os.path.join(self.work, "files")
        if not os.path.exists(path):
            subprocess.run(["gcc", "-std=gnu17", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-s", "-o", path,
                            os.path.join(HERE, "filesystem", "files.c")], check=True)
        return path

    def trees(self):
        path = os.path.join(self.work, "trees")
        for size in TREES:
            for folder in range(size // FOLDER):
                fill(os.path.join(path, f"{size}", f"{folder // 25}", f"folder-{folder}"), FOLDER)
        return path

    def archive(self):
        """The folder include/ of Linux: about 6,000 files."""
        if not os.path.exists(KERNEL_SOURCE):
            sys.exit(f"{KERNEL_SOURCE} is missing: apt-get install linux-source-6.1")
        source = os.path.join(self.work, "source")
        os.makedirs(source)
        subprocess.run(["tar", "-C", source, "--strip-components=1", "-xf", KERNEL_SOURCE, "--wildcards", "*/include"],
                       check=True)
        archives = os.path.join(self.work, "archives")
        os.makedirs(archives)
        path = os.path.join(archives, "source.tar")
        subprocess.run(["tar", "--sort=name", "-C", source, "-cf", path, "include"], check=True)
        shutil.rmtree(source)
        return path

    # --- start ------------------------------------------------------------------------------------------------

    def start(self):
        path = bundle(self.work, "true", ["/bin/true"])
        times = {name: [] for name in self.backends}
        for turn in range(self.bench.runs + 1):
            for backend in self.backends if turn % 2 == 0 else reversed(self.backends):
                began = time.monotonic()
                run = self.run(backend, path, "start-" + backend)
                if run.wait() != 0:
                    sys.exit(f"start with {backend}: exit code {run.returncode}")
                if turn > 0:
                    times[backend].append((time.monotonic() - began) * 1000)
        medians = {name: statistics.median(values) for name, values in times.items()}
        self.compare(f"start: `run` of /bin/true, medians of {self.bench.runs}", medians, round(1 / START_NOISE, 2))

    # --- memory -----------------------------------------------------------------------------------------------

    def memory(self):
        for backend in self.backends:
            two, used = self.idle(backend, 2)
            ten, _ = self.idle(backend, 10)
            if backend == "virtiofsd":
                print(f"  {two['virtiofsd']:8.1f} MiB  PSS of virtiofsd with two volumes, {ten['virtiofsd']:.1f} with ten")
                continue
            if "virtiofsd" in two:
                print("  builtin: this build has no file system of its own, virtiofsd serves there too; its ratios are noise")
            good = two["kvm-vmm"] <= MAXIMUM_PSS_MIB
            self.bench.line(f"  {two['kvm-vmm']:8.1f} MiB  PSS of kvm-vmm with rootfs and two volumes "
                            f"(at most {MAXIMUM_PSS_MIB})", good)
            print(f"  {used['kvm-vmm']:8.1f} MiB  after {WALKED} files of one have been looked at")
            each = (ten["kvm-vmm"] - two["kvm-vmm"]) / 8
            self.bench.line(f"  {each:8.3f} MiB  for each further volume (at most {VOLUME_PSS_MIB})",
                            each <= VOLUME_PSS_MIB)

    def idle(self, backend, count):
        """MiB of each process of a machine with that many volumes: idle, and after a walk over the first of them."""
        volumes = {}
        for number in range(count):
            place = os.path.join(self.work, f"volume-{number}")
            os.makedirs(place, exist_ok=True)
            volumes[f"/volumes/{number}"] = place
        files = os.path.join(self.work, "volume-0", "files")
        if not os.path.exists(files):
            fill(files, WALKED)
        script = ("while [ ! -s /go ]; do sleep 1; done; busybox ls -l /volumes/0/files >/dev/null; echo walked; "
                  "sleep 600")
        id = f"idle-{backend}-{count}"
        path = bundle(self.work, id, ["sh", "-c", script], lambda spec: mounts(spec, volumes))
        go = os.path.join(path, "rootfs", "go")
        run = self.run(backend, path, id, stdout=subprocess.PIPE, text=True)
        try:
            self.bench.wait_for_state(id)
            time.sleep(1)
            processes = self.bench.processes(id)
            before = {name: tree_pss(pid) for name, pid in processes.items()}
            with open(go, "w") as file:
                file.write("go\n")
            if run.stdout.readline() != "walked\n":
                sys.exit(f"{id}: it did not walk")
            return before, {name: tree_pss(pid) for name, pid in processes.items()}
        finally:
            run.send_signal(signal.SIGKILL)
            run.wait()
            run.stdout.close()
            time.sleep(1)
            subprocess.run(self.bench.command("delete", "--force", id))


def median(values):
    """Of figures; the reason, if there is one among them."""
    return next((value for value in values if isinstance(value, str)), None) or statistics.median(values)


def fill(folder, count):
    os.makedirs(folder)
    for number in range(count):
        os.close(os.open(os.path.join(folder, f"some-file-{number}.c"), os.O_CREAT | os.O_WRONLY))


def mounts(spec, volumes):
    for destination, source in volumes.items():
        spec["mounts"].append({"destination": destination, "source": source, "type": "bind", "options": ["rbind", "rw"]})


def tree_pss(pid):
    """MiB of a process and its children (virtiofsd has one that serves), without the guest's memory."""
    total = pss(pid)[0]
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return total + sum(tree_pss(int(child)) for child in file.read().split())
