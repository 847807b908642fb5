#!/usr/bin/env bash
# Build the images, start docker-compose.yml for real, and see that it does its work: an update and a log upload through
# the TLS listener, every container killed during an update, three ota-workers. For a Debian machine without access to
# an image registry: base images are made here, the node of this machine stands in for the one of the image. Not part of
# npm test. As root:
#
#   apt-get install docker.io docker-compose debootstrap && npm run build && infra/compose-smoke.sh
#
# SMOKE_DIR (/tmp/khumbu-smoke) keeps the base image between runs; KEEP=1 leaves the containers running.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=${SMOKE_DIR:-/tmp/khumbu-smoke}
docker=${DOCKER:-/usr/bin/docker}
export DOCKER=$docker PROJECT=khumbu-smoke DOCKER_BUILDKIT=1 KHUMBU_VERSION=smoke
export KHUMBU_SECRETS=$work/secrets KHUMBU_CONFIG=$work/config
base=khumbu-smoke/node:24-bookworm-slim
ca=${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}
started_daemon=

step() { printf '\n== %s\n' "$*"; }
compose() {
  docker-compose -p "$PROJECT" --project-directory "$here" \
    -f "$here/docker-compose.yml" -f "$here/infra/smoke/compose.yml" "$@"
}
finish() {
  local code=$?
  if [ "$code" != 0 ]; then compose ps || true; compose logs --tail=20 2>/dev/null | grep -v '"level":30' | tail -60 || true; fi
  if [ -z "${KEEP:-}" ]; then
    step 'clean up'
    compose down -v --remove-orphans >/dev/null 2>&1 || true
    if [ -n "$started_daemon" ]; then kill "$started_daemon" && wait "$started_daemon" || true; fi
    rm -rf "$work/secrets" "$work/config" "$work/keys" "$work/source"
  fi
  exit "$code"
}
mkdir -p "$work"
trap finish EXIT

if ! "$docker" info >/dev/null 2>&1; then
  step 'dockerd'
  dockerd >"$work/dockerd.log" 2>&1 &
  started_daemon=$!
  for _ in $(seq 100); do "$docker" info >/dev/null 2>&1 && break; sleep 0.2; done
  "$docker" info >/dev/null
fi

if ! "$docker" image inspect "$base" >/dev/null 2>&1; then
  step 'base image'
  root=$work/root
  rm -rf "$root"
  debootstrap --variant=minbase --include=ca-certificates,libstdc++6 bookworm "$root" >"$work/debootstrap.log"
  cp "$(readlink -f "$(command -v node)")" "$root/usr/local/bin/node"
  mkdir -p "$root/usr/local/lib/node_modules"
  cp -r "$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")" "$root/usr/local/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
  chroot "$root" useradd -u 1000 -m node
  tar -C "$root" -c . | "$docker" import -c 'CMD ["node"]' - "$base" >/dev/null
  rm -rf "$root"
fi
"$docker" run --rm "$base" node --version

step 'images'
# What is committed, so that half a change does not get in the way.
rm -rf "$work/source"
mkdir -p "$work/source"
git -C "$here" archive HEAD | tar -C "$work/source" -x
build() { "$docker" build -q --network host --build-arg BASE="$base" "$@"; }
service() { build --secret "id=ca,src=$ca" -f "$work/source/infra/service.Dockerfile" "$@" "$work/source"; }
for name in gateway ota-worker log-worker system-control; do
  printf '%s ' "$name"
  service --build-arg SERVICE="$name" -t "khumbu-$name:$KHUMBU_VERSION"
done
service --target build -t khumbu-smoke/build >/dev/null
for name in redis mosquitto s3; do
  printf '%s ' "$name"
  build --target "$name" -t "khumbu-smoke/$name" "$here/infra/smoke"
done
"$docker" images --format '{{.Repository}}:{{.Tag}} {{.Size}}' | grep '^khumbu-[a-z-]*:smoke'

step 'secrets, stations, up'
rm -rf "$work/secrets" "$work/config"
"$here/infra/make-secrets.sh"
# What an earlier run left has other passwords.
compose down -v --remove-orphans >/dev/null 2>&1
for name in smoke-1 smoke-2; do "$here/infra/station.sh" add "$name" localhost; done
cat >"$work/config/stations.yml" <<'YAML'
stations:
  smoke-1: { driver: simulated, dialect: ocpp2.x, simulated: { install_ms: 1000, reboot_ms: 1000 } }
  smoke-2: { driver: simulated }
YAML
started=$(date +%s)
compose up -d --no-build
# What the containers call this machine by.
HOST=$("$docker" network inspect "${PROJECT}_core" -f '{{(index .IPAM.Config 0).Gateway}}')
export HOST
wait_healthy() {
  for _ in $(seq 240); do
    if ! compose ps -q | xargs "$docker" inspect -f '{{.State.Health.Status}}' | grep -qv '^healthy$'; then return 0; fi
    sleep 0.5
  done
  return 1
}
wait_healthy
printf 'all healthy after %d s\n' $(($(date +%s) - started))

step 'hardening, as it came out'
compose ps -q | xargs "$docker" inspect -f \
  '{{.Name}} user={{.Config.User}} ro={{.HostConfig.ReadonlyRootfs}} capdrop={{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} mem={{.HostConfig.Memory}} cpus={{.HostConfig.NanoCpus}} pids={{.HostConfig.PidsLimit}}'

step 'drive'
export MQTT_URL=mqtts://localhost:8883 CA_FILE=$work/secrets/ca.crt SECRETS=$work/secrets WORK=$work
export HTTP_URLS=http://127.0.0.1:8080,http://127.0.0.1:8081
node "$here/infra/smoke/drive.mjs"

step 'a backup of Redis while it runs, and what that holds'
compose exec -T redis sh -c 'REDIS_PASSWORD_FILE=/run/secrets/redis_password sh -s /data -' \
  <"$here/infra/backup-redis.sh" | tar -tv
compose exec -T redis sh -c 'REDISCLI_AUTH=$(cat /run/secrets/redis_password) redis-cli --memkeys' 2>/dev/null |
  tail -n 30

step 'three ota-workers'
compose up -d --no-build --scale ota-worker=3 2>/dev/null
wait_healthy
compose ps
step 'what the services complained about'
compose logs 2>/dev/null | grep -E '"level":(50|60)' | cut -c1-300 | head -20 || true
step 'done'
