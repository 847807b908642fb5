#!/bin/sh
# Copy what Redis keeps while it runs: its append-only files, as they are on disk at one moment.
#
#   infra/backup-redis.sh <data folder of Redis> <archive.tar, or - for standard output>
#
# REDIS_URL says where Redis is (default redis://127.0.0.1:6379); REDIS_PASSWORD_FILE holds its password, if it has one.
# The files must not be rewritten while they are copied, so rewriting is switched off meanwhile, and on again whatever
# happens. Restore: stop Redis, empty its data folder, unpack the archive there, start Redis.
set -eu
umask 077
data=$1
archive=$2
url=${REDIS_URL:-redis://127.0.0.1:6379}
if [ -n "${REDIS_PASSWORD_FILE:-}" ]; then
  REDISCLI_AUTH=$(cat "$REDIS_PASSWORD_FILE")
  export REDISCLI_AUTH
fi
redis() { redis-cli --no-auth-warning -e -u "$url" "$@"; }

before=$(redis config get auto-aof-rewrite-percentage | tail -n 1)
restore() { redis config set auto-aof-rewrite-percentage "$before" >/dev/null; }
trap restore EXIT
trap 'exit 1' INT TERM
redis config set auto-aof-rewrite-percentage 0 >/dev/null
tries=600
while redis info persistence | tr -d '\r' | grep -Eqx 'aof_rewrite_(in_progress|scheduled):1'; do
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || { echo 'backup-redis: the rewrite does not end' >&2; exit 1; }
  sleep 0.1
done

# Only the end of the newest file grows meanwhile. tar notices that (1) and copies what was there when it began.
copy() { tar -C "$data" -cf "$1" appendonlydir || [ $? = 1 ]; }
if [ "$archive" = - ]; then
  copy -
else
  copy "$archive.new"
  mv "$archive.new" "$archive"
fi
