#!/bin/bash
# Random operations on a tree: determined ones, whose results must be the host's, and several processes at once.
# shellcheck source=Tests/FileSystemSuites/parts/lib.sh
source /suites/parts/lib.sh
mkdir tree
for seed in 1 2 3 4 5 6; do
    "$suites/bin/stress" tree "$seed" 6000 1
done
"$suites/bin/stress" tree 1 8000 4
"$suites/bin/stress" tree 2 8000 8
