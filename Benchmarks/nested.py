"""exec on a true KVM: a guest whose emulated processor has SVM is a host with /dev/kvm (the lab, NestedKVMTests.swift), and
runs kvm-runtime and runc, from this machine's own root.

All of it is emulated, and some hundred times slower than a machine would be. The ratio of the two is what can be read of
it; whether a machine has the same one is not known.
"""

import os
import re
import shutil
import statistics
import subprocess
import time

from common import KERNEL, RUNTIME, bundle

VIRTIOFSD = "/usr/lib/qemu/virtiofsd"
SECONDS = 600

# The first process of the lab. Times are microseconds, one a line, behind a name.
SCRIPT = r"""#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmpfs /run
mount -t cgroup2 cgroup /sys/fs/cgroup
cat >/run/config.toml <<END
[guest]
accelerator = "kvm"
default_memory_mib = 128
kvm_probe_milliseconds = 20000
boot_timeout_seconds = 150
END
timed() {
    local name=$1 began=$EPOCHREALTIME
    shift
    "$@" </dev/null >/dev/null 2>/run/words || { echo "failed $name: $(tail -n 1 /run/words)"; return 1; }
    local ended=$EPOCHREALTIME
    echo "time $name $((${ended/./} - ${began/./}))"
}
ours=(RUNTIME --config /run/config.toml --root /run/ours)
runc=(runc --root /run/runc)
made=()
"${ours[@]}" run --detach --bundle BUNDLE nested </dev/null >/dev/null 2>/run/words &&
    made+=(kvm-runtime) || echo "failed run, kvm-runtime: $(tail -n 1 /run/words)"
"${runc[@]}" run --detach --bundle BUNDLE nested </dev/null >/dev/null 2>/run/words &&
    made+=(runc) || echo "failed run, runc: $(tail -n 1 /run/words)"
for ((turn = 0; turn <= TURNS; turn++)); do
    timed program /bin/true
    for name in "${made[@]}"; do
        [[ $name == runc ]] && command=("${runc[@]}") || command=("${ours[@]}")
        timed "$name" "${command[@]}" exec nested true
    done
done
for name in "${made[@]}"; do
    [[ $name == runc ]] && command=("${runc[@]}") || command=("${ours[@]}")
    "${command[@]}" delete --force nested
done
echo "the end"
sync
reboot -f
"""


class Nested:
    """A part of Measures (run.py)."""

    def nested(self):
        turns = self.asked_runs or 15
        print(f"\nNested: exec /bin/true on a true KVM, {turns} times", flush=True)
        missing = [path for path in (VIRTIOFSD, "/usr/sbin/runc", "/usr/bin/qemu-system-x86_64") if not os.path.exists(path)]
        if missing:
            return print(f"  skipped: {', '.join(missing)} not installed")
        path = bundle(self.work, "nested", ["sleep", "6000"])
        script = os.path.join(self.work, "lab.sh")
        with open(script, "w") as file:
            file.write(SCRIPT.replace("RUNTIME", RUNTIME).replace("BUNDLE", path).replace("TURNS", str(turns)))
        os.chmod(script, 0o755)
        said = self.lab(script)
        if "the end" not in said:
            return self.line("  the lab did not come to its end:\n" + said[-2000:], False)
        for words in sorted(set(re.findall(r"failed (.*)", said))):
            print(f"  {words.strip()}")
        medians = {}
        for name in ("program", "kvm-runtime", "runc"):
            # The first is slower: nothing is in the caches.
            times = [int(word) / 1000 for word in re.findall(rf"time {name} (\d+)", said)][1:]
            if times:
                medians[name] = statistics.median(times)
                title = "/bin/true by itself" if name == "program" else f"{name} exec"
                print(f"  {medians[name]:8.1f} ms  {title}  (min {min(times):.1f}, max {max(times):.1f}, {len(times)} times)")
        if "kvm-runtime" in medians and "runc" in medians:
            print(f"  ratio: {medians['kvm-runtime'] / medians['runc']:.2f}")

    def lab(self, script):
        """What the outer guest says on its console."""
        check = subprocess.run([RUNTIME, "check"], capture_output=True, text=True).stdout
        frequency = re.search(r"^TSC .*?(\d{5,})", check, re.MULTILINE)
        socket = os.path.join(self.work, "lab.sock")
        share = subprocess.Popen([VIRTIOFSD, f"--socket-path={socket}", "-o", "source=/", "-o", "sandbox=chroot", "-o",
                                  "cache=auto"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while not os.path.exists(socket) and share.poll() is None:
                time.sleep(0.02)
            parameters = ["console=ttyS0", "loglevel=3", "reboot=t", "panic=-1", "tsc=reliable", "no_timer_check",
                          "noapictimer", "rootfstype=virtiofs", "root=lab", "rw", f"init={script}"]
            if frequency:
                parameters.append(f"tsc_early_khz={frequency.group(1)}")
            done = subprocess.run(
                [shutil.which("qemu-system-x86_64"), "-machine", "microvm,x-option-roms=off,acpi=off,memory-backend=memory",
                 "-accel", "tcg", "-cpu", "max,svm=on", "-smp", "1", "-m", "2048M", "-object",
                 "memory-backend-memfd,id=memory,size=2048M,share=on", "-global", "virtio-mmio.force-legacy=false",
                 "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio", "-kernel", KERNEL,
                 "-append", " ".join(parameters), "-chardev", f"socket,id=lab,path={socket}", "-device",
                 "vhost-user-fs-device,chardev=lab,tag=lab"],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=SECONDS)
            return done.stdout + done.stderr
        except subprocess.TimeoutExpired as expired:
            return (expired.stdout or b"").decode(errors="replace")
        finally:
            share.kill()
            share.wait()
