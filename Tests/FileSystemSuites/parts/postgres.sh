#!/bin/bash
# PostgreSQL on the folder: initdb with checksums, pgbench, a crash, and its own checks of tables, indexes and pages.
# shellcheck source=Tests/FileSystemSuites/parts/lib.sh
source /suites/parts/lib.sh
bin=$(echo /usr/lib/postgresql/*/bin)
mkdir data
chown postgres data
chmod 700 data
chmod 755 .
data=$PWD/data
mkdir -p /tmp/sockets
chown postgres /tmp/sockets

as_postgres() {
    setpriv --reuid postgres --regid postgres --clear-groups "$@"
}
control() {
    as_postgres "$bin/pg_ctl" -D "$data" -w -t 300 -l /tmp/sockets/log \
        -o "-c listen_addresses= -c unix_socket_directories=/tmp/sockets -c shared_buffers=32MB" "$@"
}
sql() {
    as_postgres "$bin/psql" -h /tmp/sockets -X -q -A -t -v ON_ERROR_STOP=1 -d postgres "$@"
}
bench() {
    as_postgres "$bin/pgbench" -h /tmp/sockets "$@" postgres
}
balanced() {
    [[ $(sql -c 'SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(bbalance) FROM pgbench_branches)
        AND (SELECT sum(tbalance) FROM pgbench_tellers) = (SELECT sum(delta) FROM pgbench_history)') == t ]]
}

check initdb as_postgres "$bin/initdb" -D "$data" --data-checksums --no-locale -E UTF8 -A trust || exit
check start control start || exit
check pgbench_init bench -i -q -s 1
check pgbench bench -c 4 -j 1 -t 100 -n
check pgbench_balance balanced
same rows sql -c 'SELECT count(*), sum(aid) FROM pgbench_accounts'
check vacuum sql -c 'VACUUM FULL ANALYZE'
check tablespace sh -c "mkdir space && chown postgres space"
check tablespace_used sql -c "CREATE TABLESPACE s LOCATION '$PWD/space'" -c 'CREATE TABLE elsewhere TABLESPACE s AS SELECT generate_series(1, 20000) AS n'
check crash control stop -m immediate
check recovery control start
check balance_after_crash balanced
check amcheck_install sql -c 'CREATE EXTENSION amcheck'
check pg_amcheck as_postgres "$bin/pg_amcheck" -h /tmp/sockets --heapallindexed --parent-check -d postgres
check stop control stop -m fast
check pg_checksums as_postgres "$bin/pg_checksums" --check -D "$data"
check pg_controldata as_postgres "$bin/pg_controldata" -D "$data"
