#!/bin/sh
# Run a command with a private PostgreSQL and Redis on loopback, started here and stopped at the end.
# Where they are not installed and nobody may install them, say so and leave the command out (CI: fail).
set -eu

pg_bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1 || true)
[ -n "$pg_bin" ] || pg_bin=$(dirname "$(command -v initdb 2>/dev/null || echo /nonexistent/initdb)")
if [ ! -x "$pg_bin/initdb" ] || ! command -v redis-server >/dev/null; then
    echo "PostgreSQL or Redis is not installed: the production half of the suite is left out."
    echo "Install them (Debian: apt-get install postgresql redis-server) and run: make suite-production"
    [ "${CI:-}" = "true" ] && exit 1
    exit 0
fi

place=$(mktemp -d "${TMPDIR:-/tmp}/hie-services.XXXXXX")
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
pg_port=$(free_port)
redis_port=$(free_port)

# PostgreSQL refuses to run as root.
if [ "$(id -u)" = 0 ]; then as_owner="runuser -u postgres --"; chown postgres "$place"; else as_owner=""; fi

stop() {
    $as_owner "$pg_bin/pg_ctl" -D "$place/pg" -m immediate stop >/dev/null 2>&1 || true
    redis-cli -p "$redis_port" shutdown nosave >/dev/null 2>&1 || true
    rm -rf "$place"
}
trap stop EXIT INT TERM

(cd / && $as_owner "$pg_bin/initdb" -D "$place/pg" -U hie -A trust -E UTF8 --locale=C >/dev/null)
(cd / && $as_owner "$pg_bin/pg_ctl" -D "$place/pg" -w -l "$place/pg.log" \
    -o "-p $pg_port -k $place -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=300" start >/dev/null)
redis-server --port "$redis_port" --bind 127.0.0.1 --save "" --daemonize yes >/dev/null

HIE_DATABASE_URL="postgresql://hie@127.0.0.1:$pg_port/postgres"
HIE_BROKER_URL="redis://127.0.0.1:$redis_port/0"
HIE_DATA_DIR="$place/data"
export HIE_DATABASE_URL HIE_BROKER_URL HIE_DATA_DIR
mkdir -m 700 "$place/data"
[ -z "$as_owner" ] || chmod 755 "$place"
"$@"
