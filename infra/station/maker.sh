#!/bin/sh
# Profile `command`: a template for the maker of a charging station. One program for all verbs, plain POSIX sh (busybox too).
#
#  10 minutes  Copy it to the station as /opt/maker/maker, executable, owned by root, and maker.conf with it: to begin with
#              infra/station/rehearsal.conf, whose slots are files and whose reboot is none. docs/stations.md goes on to the
#              first update with these two.
#  40 minutes  Make the functions of part 1 true for your hardware, one after the other, here or in maker.conf, which is read
#              after part 1. Each says what is asked of it and when. Try them by hand at the station, as root:
#                /opt/maker/maker evidence                       one line of JSON with the slot that runs
#                /opt/maker/maker install FILE "$(sha256sum <FILE | cut -c 1-64)" by-hand
#                /opt/maker/maker reboot                         ... and `evidence` again: the other slot, another boot_id
#  10 minutes  Name it in the stations file, as infra/station/stations.example.yml does, and allow the user of Khumbu the verbs
#              that need root. `evidence` and `logs` are called as that user if the stations file says no sudo.
#
# What Khumbu expects of a verb (docs/stations.md has it all):
#   exit 0 done, 65 the image is unfit, 75 busy: try later, anything else failed; the last line of stderr says why.
#   install may print lines of JSON: {"progress": 42}  {"message": "..."}  {"reboot_needed": false}
#   evidence prints one JSON object.
# Khumbu calls install once for an operation, lets it run without a connection, and never begins another one beside it. When
# its time is over (install_s) it gets SIGTERM, through sudo as well; what it has begun itself has to end with it. It must
# never touch the slot that runs, and must not reboot by itself.
#
# What has to outlive an update of both slots: DATA below, state_dir of the stations file, the host keys of sshd; and each
# image brings this program, its maker.conf, the user of Khumbu with its key, and the lines of sudoers.
set -eu
# sudo keeps the umask of its caller. What install writes has to be readable for evidence, which need not be root.
umask 022
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH

# ======================================================================================================================
# Part 1: fill in
# ======================================================================================================================

# A folder that survives updates of both slots.
DATA=/var/lib/maker

# Print A or B: the slot that runs now. Fails where it is neither: then nothing is installed.
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
  *) return 1 ;;
  esac
}

# A or B: start this slot next time, and fall back to the other one if it does not come up. Read back what was set: the last
# command decides. Called twice by an install: for the slot that runs, before the other one is touched, and at the end.
boot_next() {
  fw_setenv BOOT_NEXT "$1"
  [ "$(fw_printenv -n BOOT_NEXT)" = "$1" ]
}

# PATH: whether the image is one for this station: its header, its board, its size. Its signature has been verified by Khumbu
# if the station wants one; this is the place for one of your own. Nothing has been written yet.
image_fits() {
  [ -s "$1" ]
}

# Whether the system that runs is well: asked after the reboot, before the update counts as installed. If it is not yet, the
# update has failed: wait here as long as your services need, within command_s (60 s).
is_healthy() {
  systemctl is-active --quiet everest
}

# Whether another updater is at work. Install is tried again every five seconds then.
is_busy() {
  return 1
}

# Print why the system booted, where that is known: Watchdog, PowerUp, ApplicationReset, ...; nothing otherwise.
boot_reason() {
  :
}

# Print what people call the system that runs.
running_version() {
  sed -n 's/^VERSION_ID="\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' /etc/os-release
}

# What differs from boot to boot.
boot_id() {
  cat /proc/sys/kernel/random/boot_id
}

# Return, or not: only a new boot id counts.
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

# CODE TEXT
stop() {
  echo "$2" >&2
  exit "$1"
}

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
  ! is_busy || stop 75 'another updater is at work'
  running=$(running_slot) || stop 1 'it is not known which slot runs: running_slot is not filled in for this station'
  target=$(other_of "$running")
  device=$(slot_device "$target") || stop 1 "it is not known where slot $target is: slot_device is not filled in"
  # dd would make a file of what is no device.
  case $device in /dev/*) [ -b "$device" ] || stop 1 "$device is no block device" ;; esac
  size=$(wc -c <"$image")
  image_fits "$image" || stop 65 'the image is not for this station'
  mkdir -p "$DATA"
  # An earlier install may have been waiting for its reboot. From here on the other slot is nothing to boot, and nothing that
  # may be told as installed.
  echo "$3" >"$DATA/installing" || stop 1 "$DATA cannot be written"
  boot_next "$running" || stop 1 "the bootloader does not take slot $running"
  rm -f "$DATA/slot-$target.sha256"
  sync
  piece=$((4 * 1024 * 1024))
  pieces=$(((size + piece - 1) / piece))
  i=0
  while [ "$i" -lt "$pieces" ]; do
    said=$(dd if="$image" of="$device" bs=$piece count=1 skip="$i" seek="$i" conv=notrunc,fsync 2>&1) ||
      stop 1 "slot $target cannot be written: $said"
    i=$((i + 1))
    progress $((i * 90 / pieces))
  done
  # Read back: what was written is what counts.
  written=$(head -c "$((size))" "$device" | sha256sum)
  [ "${written%% *}" = "$sha256" ] || stop 1 "slot $target holds something else than was written"
  echo "$sha256" >"$DATA/slot-$target.$$" || stop 1 "$DATA cannot be written"
  sync
  mv "$DATA/slot-$target.$$" "$DATA/slot-$target.sha256"
  sync
  boot_next "$target" || stop 1 "the bootloader does not take slot $target"
  progress 100
}

# OPERATION: its install was broken off, or its reboot did not come.
recover() {
  [ "$(cat "$DATA/installing" 2>/dev/null)" = "${1:-}" ] || return 0
  running=$(running_slot) || stop 1 'it is not known which slot runs: running_slot is not filled in for this station'
  boot_next "$running" || stop 1 "the bootloader does not take slot $running"
}

evidence() {
  slot=$(running_slot) || stop 1 'it is not known which slot runs: running_slot is not filled in for this station'
  healthy=false
  ! is_healthy || healthy=true
  running=
  [ ! -s "$DATA/slot-$slot.sha256" ] || running=", \"running_sha256\": \"$(cat "$DATA/slot-$slot.sha256")\""
  reason=$(boot_reason)
  [ -z "$reason" ] || reason=", \"boot_reason\": \"$(json_text "$reason")\""
  printf '{"boot_id": "%s", "healthy": %s, "slot": "%s", "version": "%s"%s%s}\n' \
    "$(json_text "$(boot_id)")" "$healthy" "$slot" "$(json_text "$(running_version)")" "$running" "$reason"
}

verb=${1:-none}
[ "$#" = 0 ] || shift
case $verb in
install)
  [ "$#" = 3 ] || stop 64 'install IMAGE SHA256 OPERATION'
  install "$@"
  ;;
recover) recover "$@" ;;
reboot) reboot_host ;;
restart-everest) restart_everest ;;
evidence) evidence ;;
boot-id) boot_id ;;
logs) print_logs "$@" ;;
*) stop 64 "there is no verb $verb: install, recover, reboot, restart-everest, evidence, boot-id, logs" ;;
esac
