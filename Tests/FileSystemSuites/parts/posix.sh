#!/bin/bash
# Our own POSIX checks (posix/).
# shellcheck source=Tests/FileSystemSuites/parts/lib.sh
source /suites/parts/lib.sh
mkdir all
"$suites/bin/posix" "$PWD/all"
