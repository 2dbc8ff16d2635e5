#!/usr/bin/env python3
"""Names the few inputs of a libFuzzer merge that together reach most of what all of them reach.

    fuzz-corpus.py CONTROL-FILE

libFuzzer itself keeps an input for each new number of times that a place in the code was reached: thousands, where some
dozens do as tests. The control file (of -set_cover_merge, -merge_control_file) has a line `FT number feature…` for each
input. The one that adds most goes first, until MOST are there or nothing is added.
"""

import sys
from pathlib import Path

MOST = 48

lines = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
count = int(lines[0])
# The second line is how many of the files are in the first folder.
names = lines[2 : 2 + count]
reached: dict[str, set[str]] = {}
for line in lines[2 + count :]:
    kind, number, *features = line.split()
    if kind == "FT":
        reached[names[int(number)]] = set(features)
seen: set[str] = set()
for _ in range(MOST):
    # Of two that add as much the shorter one; by name, so that it is the same at every run.
    best = max(reached, key=lambda name: (len(reached[name] - seen), -Path(name).stat().st_size, name), default=None)
    if best is None or not reached[best] - seen:
        break
    seen |= reached.pop(best)
    print(best)
