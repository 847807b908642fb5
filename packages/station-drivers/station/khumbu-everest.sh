#!/bin/sh
# Restart EVerest's modules over the lifecycle_API of its manager (docs/stations.md), by a broker that is reached from the
# station. POSIX sh; needs mosquitto_sub and mosquitto_pub. Exits with 0 once the modules were down and are running again.
#
#   khumbu-everest restart HOST PORT
set -u
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH

# The manager does not put the external prefix of EVerest in front of these.
API=everest_api/1/lifecycle
ANSWER_S=20
host=$2
port=$3
read -r nonce </proc/sys/kernel/random/uuid
reply=everest_api/khumbu/restart/$nonce

fail() {
  printf 'khumbu-everest: %s\n' "$1" >&2
  exit 1
}

for each in mosquitto_sub mosquitto_pub; do
  command -v "$each" >/dev/null 2>&1 || fail "there is no $each (package mosquitto-clients)"
done

dir=$(mktemp -d) || fail 'no folder for temporary files'
helpers=
# shellcheck disable=SC2317
leave() {
  # shellcheck disable=SC2086
  kill $helpers 2>/dev/null
  rm -rf "$dir"
}
trap leave EXIT
trap 'exit 1' HUP INT TERM

tell() { mosquitto_pub -h "$host" -p "$port" -q 1 -t "$1" -m "$2" >/dev/null 2>&1; }

# "NAME": VALUE in a line of JSON, which comes in one line or in many.
holds() {
  case $line in
  *"\"$1\":$2"* | *"\"$1\": $2"*) return 0 ;;
  *) return 1 ;;
  esac
}

mkfifo "$dir/heard" || fail 'no pipe can be made'
mosquitto_sub -h "$host" -p "$port" -q 2 -t "$reply" -t "$API/e2m/status" -F '%p' >"$dir/heard" 2>"$dir/err" &
helpers=$!
# Said again until it is heard: then what is answered will be heard too.
while :; do
  tell "$reply" listening
  sleep 1
done >/dev/null 2>&1 &
herald=$!
helpers="$helpers $herald"

ask() {
  tell "$API/m2e/start_modules" "{\"headers\":{\"replyTo\":\"$reply\"},\"payload\":{}}"
  turn=$((turn + 1))
  {
    sleep "$ANSWER_S"
    tell "$reply" "late $turn"
  } >/dev/null 2>&1 &
  helpers="$helpers $!"
}

turn=0
answer=
readonly_api=
was_down=no
is_up=no
while IFS= read -r line; do
  if [ "$line" = listening ]; then
    if [ "$turn" = 0 ]; then
      kill "$herald" 2>/dev/null
      ask
    fi
    continue
  fi
  if [ "$line" = "late $turn" ] && [ -z "$answer" ]; then
    fail 'the lifecycle_API of EVerest does not answer: is its manager started with --lifecycle-api=rw?'
  fi
  holds lifecycle_api_ro true && readonly_api=yes
  holds lifecycle_api_ro false && readonly_api=no
  if holds status '"NoConfigToStart"'; then fail 'EVerest has no configuration to start from'; fi
  if holds status '"Rejected"'; then
    [ "$readonly_api" = no ] || fail 'EVerest rejects a restart: is its manager started with --lifecycle-api=rw?'
    # Its modules are just being started or stopped.
    sleep 2
    ask
  fi
  if holds status '"Restarting"' || holds status '"Starting"'; then answer=yes; fi
  # What is retained tells of before.
  if [ "$turn" != 0 ]; then
    if holds module_status '"Running"'; then
      [ "$was_down" = no ] || is_up=yes
    elif holds module_status '"' || holds everest_running false; then
      was_down=yes
      is_up=no
    fi
  fi
  [ "$answer$is_up" != yesyes ] || exit 0
done <"$dir/heard"
fail "no connection to the broker at $host:$port: $(head -c 300 "$dir/err")"
