#!/bin/bash
# On the host, after rsync.sh: what the container said of its tree is what the host says of it.
# shellcheck source=Tests/FileSystemSuites/parts/lib.sh
source /suites/parts/lib.sh
# shellcheck source=Tests/FileSystemSuites/parts/describe.sh
source /suites/parts/describe.sh
as_described() {
    diff described <(describe source)
}
check host_sees_the_same as_described
