#!/bin/bash
# pjdfstest, where the variable PJDFSTEST named a folder with it, built: /pjdfstest.
# shellcheck source=Tests/FileSystemSuites/parts/lib.sh
source /suites/parts/lib.sh
cd "$PWD" || exit
find /pjdfstest/tests -name '*.t' | sort | while read -r file; do
    name=${file#/pjdfstest/tests/}
    mkdir -p here && cd here || exit
    timeout 900 bash "$file" >"$log/out" 2>"$log/err" </dev/null
    cd .. && rm -rf here
    # Which of its assertions failed, by number.
    failed=$(grep -a '^not ok' "$log/out" | grep -av TODO | awk '{ print $3 }' | tr '\n' ' ')
    plan=$(sed -n 's/^1\.\.\([0-9]*\).*/\1/p' "$log/out" | head -n 1)
    run=$(grep -acE '^(not )?ok' "$log/out")
    if [[ -n $failed || $run != "${plan:-0}" ]]; then
        echo "not ok pjd/$name: $run of ${plan:-none}, failed: $failed"
    else
        echo "ok pjd/$name"
    fi
done
