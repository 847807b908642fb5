#!/bin/sh
# Make every secret the production set-ups need: passwords, the depot's certificate authority, the broker's certificate,
# the first API key. What is there stays as it is, so it may be run again at any time; the broker's certificate is made
# anew when it ends within 30 days or names are added.
#
#   infra/make-secrets.sh [name-or-address of the broker ...]
#
# KHUMBU_SECRETS (infra/secrets) and KHUMBU_CONFIG (infra/config) say where; REDIS_HOST (redis) goes into redis-url.
# Run as root, each file belongs to the one user that reads it; otherwise the files are readable inside a folder that only
# you can enter.
set -eu
umask 077
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
secrets=${KHUMBU_SECRETS:-$here/secrets}
config=${KHUMBU_CONFIG:-$here/config}
node_uid=${KHUMBU_UID:-1000}
mosquitto_uid=${MOSQUITTO_UID:-1883}
redis_uid=${REDIS_UID:-999}
s3_uid=${S3_UID:-1000}

say() { printf '%s\n' "$*" >&2; }
for tool in openssl od; do
  command -v "$tool" >/dev/null || { say "make-secrets: $tool is needed"; exit 1; }
done

mkdir -p "$secrets/mosquitto" "$config"
if [ "$(id -u)" = 0 ]; then chmod 0711 "$secrets"; else chmod 0700 "$secrets"; fi
chmod 0755 "$config" "$secrets/mosquitto"

random() { openssl rand -hex 24; }
# once <file> <command ...>: write what the command says, unless the file is there.
once() {
  file=$secrets/$1
  shift
  [ -s "$file" ] && return
  "$@" >"$file.new"
  mv "$file.new" "$file"
  say "made $file"
}
# put <file> <format> <word ...>: written anew each time; a file that is there may be read-only.
put() {
  file=$secrets/$1
  shift
  # shellcheck disable=SC2059
  printf "$@" >"$file.new"
  mv -f "$file.new" "$file"
}
# belongs <uid> <file>: for this reader alone, as far as we may.
belongs() {
  if [ "$(id -u)" = 0 ]; then
    chown "$1:$(id -g "$1" 2>/dev/null || echo "$1")" "$secrets/$2"
    chmod 0400 "$secrets/$2"
  else
    chmod 0444 "$secrets/$2"
  fi
}

once redis-password random
redis_password=$(cat "$secrets/redis-password")
put redis-auth.conf 'requirepass %s\n' "$redis_password"
put redis-url 'redis://:%s@%s:6379\n' "$redis_password" "${REDIS_HOST:-redis}"
once s3-access-key sh -c 'printf "khumbu%s\n" "$(openssl rand -hex 7)"'
once s3-secret-key random
once mqtt-password random
once mqtt-client-id sh -c 'printf "khumbu-%s\n" "$(openssl rand -hex 24)"'
once api-key sh -c 'printf "khumbu_%s\n" "$(openssl rand -hex 24)"'
if [ ! -s "$secrets/api-keys.json" ]; then
  hash=$(tr -d '\n' <"$secrets/api-key" | openssl dgst -sha256 -r | cut -d' ' -f1)
  printf '[\n  { "name": "operator", "sha256": "%s", "scopes": ["read", "operate", "admin"] }\n]\n' "$hash" \
    >"$secrets/api-keys.json"
  say "made $secrets/api-keys.json"
fi

# The authority stays here; only its certificate goes to the chargers.
if [ ! -s "$secrets/ca.key" ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -days 7300 -subj '/CN=Khumbu depot' \
    -addext 'basicConstraints=critical,CA:TRUE,pathlen:0' -addext 'keyUsage=critical,keyCertSign,cRLSign' \
    -keyout "$secrets/ca.key" -out "$secrets/ca.crt" 2>/dev/null
  say "made $secrets/ca.crt"
fi
broker=$secrets/mosquitto/broker
names=$({ [ ! -s "$broker.names" ] || cat "$broker.names"; printf '%s\n' mosquitto localhost 127.0.0.1 "$(hostname)" "$@"; } |
  grep . | sort -u)
if [ ! -s "$broker.crt" ] || [ "$names" != "$(cat "$broker.names")" ] ||
  ! openssl x509 -in "$broker.crt" -noout -checkend 2592000 >/dev/null; then
  alt=$(printf '%s\n' "$names" | sed -E 's/^([0-9.]+|.*:.*)$/IP:\1/; t; s/^/DNS:/' | paste -sd, -)
  printf 'basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName=%s\n' "$alt" >"$broker.ext"
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=Khumbu broker' \
    -keyout "$broker.key.new" -out "$broker.csr" 2>/dev/null
  openssl x509 -req -in "$broker.csr" -CA "$secrets/ca.crt" -CAkey "$secrets/ca.key" -sha256 -days 800 \
    -set_serial "0x$(openssl rand -hex 16)" -extfile "$broker.ext" -out "$broker.crt.new" 2>/dev/null
  mv -f "$broker.key.new" "$broker.key"
  mv -f "$broker.crt.new" "$broker.crt"
  printf '%s\n' "$names" >"$broker.names"
  rm -f "$broker.csr" "$broker.ext"
  say "made $broker.crt for: $(printf '%s\n' "$names" | paste -sd' ' -)"
fi
put mosquitto/ca.crt '%s\n' "$(cat "$secrets/ca.crt")"
if ! grep -q '^khumbu-gateway:' "$secrets/mosquitto/passwords" 2>/dev/null; then
  "$here/station.sh" gateway
fi

for file in redis-url mqtt-password mqtt-client-id ca.crt api-keys.json; do belongs "$node_uid" "$file"; done
for file in redis-password redis-auth.conf; do belongs "$redis_uid" "$file"; done
for file in ca.crt broker.crt broker.key passwords; do belongs "$mosquitto_uid" "mosquitto/$file"; done
for file in s3-access-key s3-secret-key; do belongs "$s3_uid" "$file"; done

if [ ! -s "$config/stations.yml" ]; then
  cp "$here/stations.example.yml" "$config/stations.yml"
  chmod 0644 "$config/stations.yml"
  say "made $config/stations.yml: list your stations there"
fi
if [ ! -e "$config/khumbu.env" ]; then
  printf '%s\n' '# Further settings of the services, NAME=value: docs/configuration.md.' '#LOG_LEVEL=debug' \
    >"$config/khumbu.env"
  chmod 0644 "$config/khumbu.env"
fi
say "ready; the first API key is in $secrets/api-key"
