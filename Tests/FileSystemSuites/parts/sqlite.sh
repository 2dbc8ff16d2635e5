#!/bin/bash
# SQLite's own checks of a database, alone and with concurrent writers, with a write-ahead log and with a rollback journal.
# shellcheck source=Tests/FileSystemSuites/parts/lib.sh
source /suites/parts/lib.sh

fill() {
    local mode=$1
    {
        echo "PRAGMA journal_mode=$mode; CREATE TABLE t(id INTEGER PRIMARY KEY, w INTEGER, v BLOB); CREATE INDEX i ON t(v);"
        echo "BEGIN; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<20000)
              INSERT INTO t SELECT i, 0, i*7919%20011 || 'value' FROM n; COMMIT;"
        echo "DELETE FROM t WHERE id%3=0; UPDATE t SET v=v||'changed' WHERE id%5=0; VACUUM; ANALYZE;"
    } | sqlite3 -bail "$mode.db"
}

# Four processes, 50 transactions each, and a reader that must never see a half of one.
write_together() {
    local mode=$1 writer status=0 pids=()
    sqlite3 "$mode.db" 'CREATE TABLE pairs(w INTEGER, n INTEGER, half INTEGER)'
    for writer in 1 2 3 4; do
        for n in $(seq 50); do
            echo "BEGIN IMMEDIATE; INSERT INTO pairs VALUES($writer,$n,1); INSERT INTO pairs VALUES($writer,$n,2); COMMIT;"
        done | sqlite3 -bail -cmd '.timeout 60000' "$mode.db" &
        pids+=($!)
    done
    for _ in $(seq 20); do
        [[ $(sqlite3 -cmd '.timeout 60000' "$mode.db" 'SELECT count(*)%2 FROM pairs') == 0 ]] || status=1
    done
    for writer in "${pids[@]}"; do
        wait "$writer" || status=1
    done
    [[ $(sqlite3 "$mode.db" 'SELECT count(*) FROM pairs') == 400 ]] || status=1
    return "$status"
}

sound() {
    [[ $(sqlite3 "$1.db" 'PRAGMA integrity_check; PRAGMA foreign_key_check;') == ok ]]
}

# A writer killed in the middle of a transaction that has reached the file: the journal brings the database back.
crash() {
    local mode=$1 before
    before=$(sqlite3 "$mode.db" 'SELECT count(*) FROM t')
    coproc WRITER { exec sqlite3 "$mode.db"; }
    echo 'PRAGMA cache_size=10; BEGIN IMMEDIATE; DELETE FROM t; SELECT 1;' >&"${WRITER[1]}"
    read -r -t 300 -u "${WRITER[0]}" || return
    kill -KILL "$WRITER_PID"
    wait "$WRITER_PID"
    [[ $(sqlite3 "$mode.db" 'SELECT count(*) FROM t') == "$before" ]] && sound "$mode"
}

for mode in wal delete truncate persist; do
    check "fill_$mode" fill "$mode"
    same "content_$mode" sqlite3 "$mode.db" 'SELECT * FROM t'
    check "together_$mode" write_together "$mode"
    check "integrity_$mode" sound "$mode"
    check "crash_$mode" crash "$mode"
    check "backup_$mode" sqlite3 "$mode.db" ".backup copy-$mode.db"
    same "dump_$mode" sh -c "sqlite3 copy-$mode.db .dump | grep -v pairs"
done
