#!/bin/bash
# One file, many random operations, each compared with memory.
# shellcheck source=Tests/FileSystemSuites/parts/lib.sh
source /suites/parts/lib.sh
for seed in 1 2 3 4 5 6; do
    "$suites/bin/fsx" file "$seed" 4000
done
# Two at once on two files: pages of one must not end in the other.
"$suites/bin/fsx" file-7 7 3000 &
"$suites/bin/fsx" file-8 8 3000 >"$log/8"
wait
cat "$log/8"
