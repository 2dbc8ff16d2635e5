#!/usr/bin/env python3
"""Runs a bundle as anyone would, `kvm-runtime run --bundle BUNDLE ID`, and adds what only the host can know.

    run-hello.py KVM_RUNTIME BUNDLE

The container's output passes through untouched. The two lines that follow it are the host's: its kernel, and the time
from the start of kvm-runtime to the first byte of the container's output.
"""

import os
import signal
import subprocess
import sys
import time


def main() -> int:
    if len(sys.argv) != 3:
        print("usage: run-hello.py KVM_RUNTIME BUNDLE", file=sys.stderr)
        return 2
    runtime, bundle = sys.argv[1:]
    # Ctrl-C is the container's business: it reaches kvm-runtime too, and we tell how that ended.
    signal.signal(signal.SIGINT, lambda *_: None)
    first = None
    start = time.monotonic()
    with subprocess.Popen(
        [runtime, "run", "--bundle", bundle, f"hello-{os.getpid()}"], stdout=subprocess.PIPE, bufsize=0
    ) as process:
        while chunk := process.stdout.read(65536):
            first = first or time.monotonic() - start
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
        status = process.wait()
    total = time.monotonic() - start
    if first is not None:
        host = os.uname()
        print(f"  host kernel   {host.release} {host.version}")
        print(f"  first byte    {first * 1000:.0f} ms after the start of kvm-runtime ({total * 1000:.0f} ms in all)")
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
