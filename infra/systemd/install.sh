#!/bin/sh
# Set this machine up for Khumbu without containers, as root, from /opt/khumbu: user, secrets, settings of Redis and
# mosquitto, units. What a person may have edited in /etc/khumbu stays. May be run again, after an upgrade too.
#
#   infra/systemd/install.sh [name-or-address of the broker ...]
#
# DESTDIR puts all of it below another root, to look at it first.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=${DESTDIR:-}
etc=$root/etc/khumbu
units=$root/etc/systemd/system

if [ -z "$root" ]; then
  id khumbu >/dev/null 2>&1 || useradd --system --home-dir /var/lib/khumbu --shell /usr/sbin/nologin khumbu
  for user in redis mosquitto; do
    id "$user" >/dev/null 2>&1 || { echo "install: user $user is missing: apt-get install redis-server mosquitto" >&2; exit 1; }
  done
fi
install -d -m 0755 "$etc" "$etc/mosquitto/conf.d" "$units/redis-server.service.d" "$units/mosquitto.service.d"

# once <from> <to>: what stands there already may have been edited.
once() { [ -e "$2" ] || install -m 0644 "$1" "$2"; }
once "$here/khumbu.env.example" "$etc/khumbu.env"
uid() { id -u "$1" 2>/dev/null || echo 0; }
KHUMBU_SECRETS=$etc/secrets KHUMBU_CONFIG=$etc REDIS_HOST=127.0.0.1 \
  KHUMBU_UID=$(uid khumbu) MOSQUITTO_UID=$(uid mosquitto) REDIS_UID=$(uid redis) S3_UID=$(uid khumbu) \
  "$here/../make-secrets.sh" "$@"

once "$here/redis.conf" "$etc/redis.conf"
once "$here/../mosquitto/acl" "$etc/mosquitto/acl"
if [ ! -e "$etc/mosquitto/mosquitto.conf" ]; then
  sed -e 's|/mosquitto/secrets/|/etc/khumbu/secrets/mosquitto/|' -e 's|/mosquitto/config/|/etc/khumbu/mosquitto/|' \
    -e 's|/mosquitto/data/|/var/lib/mosquitto/|' \
    -e 's|^listener 8884$|listener 8884 127.0.0.1|' "$here/../mosquitto/mosquitto.conf" >"$etc/mosquitto/mosquitto.conf"
  chmod 0644 "$etc/mosquitto/mosquitto.conf"
fi
install -m 0644 "$here"/khumbu*.service "$here/khumbu.target" "$units/"
install -m 0644 "$here/redis-server.service.d/khumbu.conf" "$units/redis-server.service.d/"
install -m 0644 "$here/mosquitto.service.d/khumbu.conf" "$units/mosquitto.service.d/"

[ -n "$root" ] || systemctl daemon-reload
cat >&2 <<'END'
Next: list your stations in /etc/khumbu/stations.yml, set S3_ENDPOINT in /etc/khumbu/khumbu.env and the two keys in
/etc/khumbu/secrets/s3-*-key, then
  systemctl restart redis-server mosquitto
  systemctl enable --now khumbu.target khumbu-gateway@8080 khumbu-gateway@8081 khumbu-ota-worker@9101 \
    khumbu-ota-worker@9102 khumbu-log-worker@9201 khumbu-system-control@9301
END
