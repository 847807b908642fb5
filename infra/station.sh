#!/bin/sh
# Give a station access to the depot's broker, or take it away.
#
#   infra/station.sh add <station> [broker name[:port]]   password, and a folder to be copied to the charger
#   infra/station.sh remove <station>
#   infra/station.sh observer                             a user that hears all stations and says nothing
#
# A station's name is its client id at the broker, so there is one connection of it at a time.
# An added station keeps its password when it is added again. The broker reads the change at its next
#   docker compose kill -s HUP mosquitto      or      systemctl reload mosquitto
# The station must stand in stations.yml as well, or it is answered with refusals.
set -eu
umask 077
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
secrets=${KHUMBU_SECRETS:-$here/secrets}
passwords=$secrets/mosquitto/passwords
image=${MOSQUITTO_IMAGE:-eclipse-mosquitto:2.0.22}

[ -s "$secrets/ca.crt" ] || { printf 'station.sh: run make-secrets.sh first\n' >&2; exit 1; }
fail() { printf 'station.sh: %s\n' "$*" >&2; exit 1; }

# Several at once would each write the list of passwords they began with, and the last one would win.
if command -v flock >/dev/null; then
  exec 9>"$secrets/.lock"
  flock 9
fi

# Hash "user:password" in a file. The password never stands in a command line.
hash_file() {
  if command -v mosquitto_passwd >/dev/null; then
    mosquitto_passwd -U "$1"
  else
    docker run --rm --network none -v "$(dirname "$1"):/work" "$image" mosquitto_passwd -U "/work/$(basename "$1")"
  fi
}
work=$(mktemp -d "$secrets/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT
# write <user> [password file]: the user's line is replaced, or taken out. The file is replaced as a whole, owner and all.
write() {
  : >"$work/one"
  if [ $# = 2 ]; then
    printf '%s:%s\n' "$1" "$(cat "$2")" >"$work/one"
    hash_file "$work/one"
  fi
  { [ ! -s "$passwords" ] || awk -F: -v user="$1" '$1 != user' "$passwords"; } | cat - "$work/one" >"$work/all"
  if [ -s "$passwords" ]; then
    chmod --reference="$passwords" "$work/all"
    [ "$(id -u)" != 0 ] || chown --reference="$passwords" "$work/all"
  fi
  mv -f "$work/all" "$passwords"
}

action=${1:-}
station=${2:-}
case $action in gateway | observer) ;; *) printf '%s' "$station" | grep -Eq '^[A-Za-z0-9_.-]{1,64}$' || fail 'a station id is 1 to 64 letters, digits and _ . -' ;; esac
case $station in . | ..) fail 'not a name for a station' ;; esac
case $station in [Kk][Hh][Uu][Mm][Bb][Uu]-*) fail 'names that begin with khumbu- are ours' ;; esac
folder=$secrets/stations/$station

case $action in
  gateway) write khumbu-gateway "$secrets/mqtt-password" ;;
  observer)
    [ -s "$secrets/observer-password" ] || openssl rand -hex 24 >"$secrets/observer-password"
    write khumbu-observer "$secrets/observer-password"
    printf 'user khumbu-observer, password in %s\n' "$secrets/observer-password"
    ;;
  add)
    broker=${3:-mosquitto}
    case $broker in *:*) ;; *) broker=$broker:8883 ;; esac
    mkdir -p "$folder"
    [ -s "$folder/password" ] || openssl rand -hex 24 >"$folder/password"
    write "$station" "$folder/password"
    cp -f "$secrets/ca.crt" "$folder/depot-ca.crt"
    printf 's|@STATION@|%s|g\ns|@BROKER@|%s|g\ns|@PASSWORD@|%s|g\n' \
      "$station" "$broker" "$(cat "$folder/password")" >"$work/fill"
    sed -f "$work/fill" "$here/mosquitto/charger-bridge.conf" >"$folder/khumbu-bridge.conf"
    printf 'copy to the charger: %s\n' "$folder/khumbu-bridge.conf" "$folder/depot-ca.crt"
    ;;
  remove)
    write "$station"
    rm -rf "$folder"
    ;;
  *) fail 'say add, remove or observer' ;;
esac
