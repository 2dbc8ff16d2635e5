"""Bare vsock streams: QEMU, a guest of one static program, and kvm-vmm or the Rust vhost-device-vsock behind its device."""

import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from common import MIB, VMM

PEER = "vhost-device-vsock"
# As the runtime has it by default (guest.device_poll_microseconds).
POLL_MICROSECONDS = "600"
JOBS = ("out", "in", "ping")
PINGS = 5000


class BareVsock:
    def __init__(self, bench):
        self.bench = bench
        self.initramfs = bench.build("stream")

    def measure(self, mebibytes, rounds):
        """Both back ends in turn, each way and there and back."""
        print(f"\nvsock: bare streams of {mebibytes} MiB and {PINGS} bytes there and back, {rounds} rounds", flush=True)
        peer = shutil.which(PEER)
        if not peer:
            print(f"  {PEER} is not installed (Debian sid has it): nothing to compare with")
            return
        figures = {(job, backend): [] for job in JOBS for backend in (None, peer)}
        for turn in range(rounds):
            for job in JOBS:
                for backend in (None, peer) if turn % 2 else (peer, None):
                    figures[job, backend].append(self.run(job, mebibytes, backend))
        for job, name in zip(JOBS, ("guest to host", "host to guest", "there and back")):
            ours, theirs = (statistics.median(figures[job, backend]) for backend in (None, peer))
            unit = "us" if job == "ping" else "MiB/s"
            ratio = theirs / ours if job == "ping" else ours / theirs
            self.bench.line(f"  {ratio:5.2f}  {name} (at least 1.0; {PEER} {theirs:.0f}, kvm-vmm {ours:.0f} {unit})",
                            ratio >= 1.0)

    def run(self, job, mebibytes, backend):
        """MiB a second, or microseconds of a byte that goes to the guest and comes back."""
        place = tempfile.mkdtemp(dir=self.bench.work)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(os.path.join(place, "v.sock_5000" if backend else "vsock-5000.sock"))
        listener.listen(1)
        peer, guest = self.boot(job, mebibytes, backend, place)
        listener.settimeout(60)
        connection, _ = listener.accept()
        connection.settimeout(60)
        result = {"out": self.receive, "in": self.send, "ping": self.ping}[job](connection, mebibytes)
        connection.close()
        guest.wait()
        peer.kill()
        peer.wait()
        return result

    def boot(self, job, mebibytes, backend, place):
        flags = self.bench.floor_flags(self.bench.qemu_flags_cached(), self.initramfs)
        count = PINGS if job == "ping" else mebibytes
        flags[flags.index("-append") + 1] += f" stream_job={job} stream_count={count}"
        device = ["-device", "vhost-user-vsock-device,chardev=vs"]
        if backend:
            vhost = os.path.join(place, "vhost.sock")
            uds = os.path.join(place, "v.sock")
            peer = subprocess.Popen([backend, "--guest-cid", "3", "--socket", vhost, "--uds-path", uds],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while not os.path.exists(vhost):
                time.sleep(0.01)
            guest = subprocess.Popen(["qemu-system-x86_64", *flags, "-chardev", f"socket,id=vs,path={vhost}", *device])
            return peer, guest
        ours, theirs = socket.socketpair()
        directory = os.open(place, os.O_PATH)
        peer = subprocess.Popen([VMM, "--poll-microseconds", POLL_MICROSECONDS, "vsock", "--vhost-user-fd",
                                 str(ours.fileno()), "--directory-fd", str(directory), "--cid", "3"],
                                pass_fds=(ours.fileno(), directory))
        guest = subprocess.Popen(["qemu-system-x86_64", *flags, "-chardev", f"socket,id=vs,fd={theirs.fileno()}",
                                  *device], pass_fds=(theirs.fileno(),))
        ours.close()
        theirs.close()
        os.close(directory)
        return peer, guest

    # --- the host's end: each job ends with the guest's last byte, for vhost-device-vsock doesn't pass on the end of one
    # direction ---

    def receive(self, connection, mebibytes):
        began, total = time.monotonic(), 0
        while total < mebibytes * MIB:
            block = connection.recv(MIB)
            if not block:
                sys.exit(f"bare stream: {total} bytes of {mebibytes * MIB}")
            total += len(block)
        return mebibytes / (time.monotonic() - began)

    def send(self, connection, mebibytes):
        block = bytes(64 << 10)
        began = time.monotonic()
        for _ in range(mebibytes * 16):
            connection.sendall(block)
        if connection.recv(1) != b"!":
            sys.exit("bare stream: the guest did not get all")
        return mebibytes / (time.monotonic() - began)

    def ping(self, connection, _):
        began = time.monotonic()
        for _ in range(PINGS):
            connection.sendall(b"?")
            if len(connection.recv(1)) != 1:
                sys.exit("bare stream: no answer")
        return (time.monotonic() - began) * 1e6 / PINGS
