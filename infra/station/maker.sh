#!/bin/sh
# Profile `command`: a template for the maker of a charging station. One program for all verbs.
#
# 1. Copy it to the station, say as /opt/maker/maker, executable, owned by root.
# 2. Make the functions of part 1 true for your hardware: two slots that can be written as a whole, and a bootloader that is
#    told which one to start. They may also stand in a file maker.conf beside it, which is read after part 1.
# 3. Try each verb by hand at the station:  /opt/maker/maker evidence
# 4. Name it in the stations file, as infra/station/stations.example.yml does.
#
# What Khumbu expects of a verb (docs/stations.md has it all):
#   exit 0 done, 65 the image is unfit, 75 busy: try later, anything else failed; the last line of stderr says why.
#   install may print lines of JSON: {"progress": 42}  {"message": "..."}  {"reboot_needed": false}
#   evidence prints one JSON object.
# Khumbu calls install once for an operation, lets it run without a connection, and never begins another one beside it. It must
# never touch the slot that runs, and must not reboot by itself.
set -eu

# ======================================================================================================================
# Part 1: fill in
# ======================================================================================================================

# What survives updates of both slots.
DATA=/var/lib/maker

# Print A or B: the slot that runs now.
running_slot() {
  case $(cat /proc/cmdline) in
  *root=/dev/mmcblk0p2*) echo A ;;
  *root=/dev/mmcblk0p3*) echo B ;;
  *) return 1 ;;
  esac
}

# A or B: print the device, or the file, that this slot is written to.
slot_device() {
  case $1 in
  A) echo /dev/mmcblk0p2 ;;
  B) echo /dev/mmcblk0p3 ;;
  esac
}

# A or B: start this slot next time, and fall back to the other one if it does not come up. Read back what was set.
boot_next() {
  fw_setenv BOOT_NEXT "$1"
  [ "$(fw_printenv -n BOOT_NEXT)" = "$1" ]
}

# PATH: whether the image is one for this station. Nothing has been written yet.
image_fits() {
  [ -s "$1" ]
}

# Whether the system that runs is well: asked after the reboot, before the update counts as installed.
is_healthy() {
  systemctl is-active --quiet everest
}

# Whether another updater is at work.
is_busy() {
  return 1
}

# Print why the system booted, where that is known: Watchdog, PowerUp, ...; nothing otherwise.
boot_reason() {
  :
}

running_version() {
  sed -n 's/^VERSION_ID="\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' /etc/os-release
}

# What differs from boot to boot.
boot_id() {
  cat /proc/sys/kernel/random/boot_id
}

reboot_host() {
  systemctl reboot
}

restart_everest() {
  systemctl restart everest
}

# TYPE OLDEST LATEST: print records of DiagnosticsLog or SecurityLog in time order; times are RFC 3339 in UTC, or empty.
print_logs() {
  echo "no logs of $1" >&2
  return 1
}

# ======================================================================================================================
# Part 2: the verbs
# ======================================================================================================================

conf=${0%/*}/maker.conf
# shellcheck source=/dev/null
[ ! -r "$conf" ] || . "$conf"

other_of() {
  case $1 in
  A) echo B ;;
  B) echo A ;;
  *) return 1 ;;
  esac
}

# Names of people may hold anything: quotes, backslashes and control characters do not go into JSON.
json_text() {
  printf '%s' "$1" | tr -d '\042\134' | tr -d '[:cntrl:]'
}

progress() {
  printf '{"progress": %s}\n' "$1"
}

# IMAGE SHA256 OPERATION
install() {
  image=$1
  sha256=$2
  if is_busy; then
    echo 'another updater is at work' >&2
    exit 75
  fi
  running=$(running_slot)
  target=$(other_of "$running")
  device=$(slot_device "$target")
  size=$(wc -c <"$image")
  if ! image_fits "$image"; then
    echo 'the image is not for this station' >&2
    exit 65
  fi
  mkdir -p "$DATA"
  # From here on the other slot is nothing that may be told as installed, or be started.
  rm -f "$DATA/slot-$target.sha256"
  echo "$3" >"$DATA/installing"
  sync
  boot_next "$running"
  piece=$((4 * 1024 * 1024))
  pieces=$(((size + piece - 1) / piece))
  i=0
  while [ "$i" -lt "$pieces" ]; do
    dd if="$image" of="$device" bs=$piece count=1 skip="$i" seek="$i" conv=notrunc,fsync 2>/dev/null
    i=$((i + 1))
    progress $((i * 90 / pieces))
  done
  # Read back: what was written is what counts.
  written=$(head -c "$((size))" "$device" | sha256sum)
  if [ "${written%% *}" != "$sha256" ]; then
    echo "slot $target holds something else than was written" >&2
    exit 1
  fi
  echo "$sha256" >"$DATA/slot-$target.sha256"
  sync
  boot_next "$target"
  progress 100
}

# OPERATION: its install was broken off, or its reboot did not come.
recover() {
  if [ "$(cat "$DATA/installing" 2>/dev/null)" = "$1" ]; then boot_next "$(running_slot)"; fi
}

evidence() {
  slot=$(running_slot)
  healthy=false
  ! is_healthy || healthy=true
  running=
  [ ! -s "$DATA/slot-$slot.sha256" ] || running=", \"running_sha256\": \"$(cat "$DATA/slot-$slot.sha256")\""
  reason=$(boot_reason)
  [ -z "$reason" ] || reason=", \"boot_reason\": \"$(json_text "$reason")\""
  printf '{"boot_id": "%s", "healthy": %s, "slot": "%s", "version": "%s"%s%s}\n' \
    "$(json_text "$(boot_id)")" "$healthy" "$slot" "$(json_text "$(running_version)")" "$running" "$reason"
}

verb=$1
shift
case $verb in
install) install "$@" ;;
recover) recover "$@" ;;
reboot) reboot_host ;;
restart-everest) restart_everest ;;
evidence) evidence ;;
boot-id) boot_id ;;
logs) print_logs "$@" ;;
*)
  echo "there is no verb $verb" >&2
  exit 64
  ;;
esac
