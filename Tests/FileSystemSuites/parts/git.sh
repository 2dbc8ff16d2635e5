#!/bin/bash
# A clone of this project: objects, a checkout, and what git makes of the times and inodes it remembers.
# shellcheck source=Tests/FileSystemSuites/parts/lib.sh
source /suites/parts/lib.sh
git config --global safe.directory '*'
git config --global user.name suites
git config --global user.email suites@localhost
export GIT_AUTHOR_DATE='2000-01-01T00:00:00Z' GIT_COMMITTER_DATE='2000-01-01T00:00:00Z'
check git_clone git clone --no-local --quiet /repository clone || exit
cd clone || exit
check git_fsck git fsck --full --strict
same git_log git log --format=%H -n 100
same git_status git status --porcelain
same git_files sh -c 'git ls-files -z | xargs -0 sha256sum'
check git_index git update-index --refresh
check git_switch sh -c 'git checkout --quiet -b other HEAD~3 && git checkout --quiet -'
same git_commit sh -c 'echo line >>README.md && git mv LICENSE LICENCE && git commit --quiet -am change && git rev-parse HEAD^{tree}'
check git_gc git gc --quiet --aggressive --prune=now
check git_fsck_again git fsck --full --strict
same git_status_again git status --porcelain
