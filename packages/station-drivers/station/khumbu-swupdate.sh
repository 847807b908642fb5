# shellcheck shell=sh disable=SC2154 # what khumbu-tool.sh defines
# SWUpdate at a charging station. khumbu-tool.sh stands before it and takes the first words (PROGRAM: empty where a daemon runs);
# these are left, N and words again:
#
#   N CLIENT... N RUNNING_SLOT... N VERSION... N READ_VARIABLE... N WRITE_VARIABLE... N BOOT_VARIABLES... N SLOT=SELECTION...
#   CONTROL_SOCKET PROGRESS_SOCKET TMPDIR PUBLIC_KEY BOOTLOADER HARDWARE REFUSE_DOWNGRADE ARGUMENTS...
#
# Seen with 2022.12: the client says `was successful` and may exit with 0 when the daemon died in the middle, for it repeats
# the result of the update before. It does not wait for the reason of a refusal, which is left in the daemon's queue of log
# lines. So the end of an update is the client's exit together with the daemon's own word, and the boot variable read back.
state=$state_dir/swupdate
mkdir -p "$state" || exit 1

take "$@"
client=$taken
shift $(($1 + 1))
take "$@"
running_slot=$taken
shift $(($1 + 1))
take "$@"
version_program=$taken
shift $(($1 + 1))
take "$@"
read_variable=$taken
shift $(($1 + 1))
take "$@"
write_variable=$taken
shift $(($1 + 1))
take "$@"
variables=$taken
shift $(($1 + 1))
take "$@"
selections=$taken
shift $(($1 + 1))
control_socket=$1
progress_socket=$2
tmpdir=$3
public_key=$4
bootloader=$5
hardware=$6
refuse_downgrade=$7
shift 7
boot_variable=${variables%%"$newline"*}
forget_notes
[ -z "$tmpdir" ] || export TMPDIR="$tmpdir"

# TEXT: exits by what it means.
fail_with() {
  message "$1"
  printf '%s\n' "$1" >&2
  case $1 in
  *fw_env.config*) exit 1 ;;
  *'of all signatures failed'* | *ignature* | *'HASH mismatch'* | *'Hash not set'* | *'not compatible with hardware'* | \
    *'owngrading'* | *'No reinstalling'* | *'maximum version'* | *CPIO* | *'Required image file'* | *'Compatible SW not found'* | \
    *'corrupted'*)
    exit 65
    ;;
  esac
  exit 1
}

# --- The bootloader's variables ----------------------------------------------------------------------------------------
# NAME: its value in $value, empty where there is none. 1: they cannot be read; a default that is printed instead is no value.
read_value() {
  why="the variables of the bootloader cannot be read"
  if capture words "$read_variable" "$1" </dev/null; then
    value=$out
    ! printf '%s\n' "$err" | grep -qi 'default env\|using default'
    return
  fi
  value=
  case $err in *'not defined'*) return 0 ;; esac
  why="$why: $(last_line "$err")"
  return 1
}

write_value() {
  if [ -n "$2" ]; then words "$write_variable" "$1" "$2"; else words "$write_variable" "$1"; fi </dev/null >/dev/null 2>&1
}

# What SWUpdate itself leaves there: an update has begun and has not ended, unless one is under way right now.
is_broken_off() {
  read_value recovery_status || return 1
  [ "$value" != in_progress ] || return 0
  read_value ustate && [ "$value" = 7 ]
}

# What is to be booted becomes what it was when the install began, read back. 1: it did not.
put_back() {
  put=0
  while IFS= read -r line; do
    name=${line%%=*}
    read_value "$name" || put=1
    [ "$value" != "${line#*=}" ] || continue
    write_value "$name" "${line#*=}"
    read_value "$name" && [ "$value" = "${line#*=}" ] || put=1
  done <"$state/before-variables"
  return "$put"
}

restore() { put_back || message "what boots could not be put back: $why"; }

# --- Verbs -------------------------------------------------------------------------------------------------------------
record_of() { printf '%s/slot-%s' "$state" "$(printf '%s' "$1" | tr -c 'A-Za-z0-9._-' _)"; }

find_slot() {
  slot=$(words "$running_slot" 2>/dev/null | head -c 200)
  [ -n "$slot" ]
}

running_version() {
  [ -z "$version_program" ] || words "$version_program" 2>/dev/null | head -c 200 | tr -d '[:cntrl:]'
}

evidence() {
  if ! find_slot; then
    echo 'the slot that runs is not known' >&2
    return 1
  fi
  version=$(running_version)
  # `null`: what runs is not ours, or not any more.
  running=null
  if { read -r sha256 installed; } 2>/dev/null <"$(record_of "$slot")"; then
    if [ -z "$version" ] || [ -z "$installed" ] || [ "$version" = "$installed" ]; then running=\"$sha256\"; fi
  fi
  healthy=false
  ! is_healthy || healthy=true
  [ -z "$version" ] || version=", \"version\": \"$(json_words "$version")\""
  printf '{"boot_id": "%s", "healthy": %s, "slot": "%s", "running_sha256": %s%s}\n' \
    "$(json_text "$(boot_id)")" "$healthy" "$(json_text "$slot")" "$running" "$version"
}

# Whether the daemon was told of a bootloader: without one, Debian's build drops what an image sets, and says it is done.
# Those of other users do not show what they listen on; then what is read back afterwards tells.
knows_bootloader() {
  for each in /proc/[0-9]*; do
    { read -r comm; } 2>/dev/null <"$each/comm" || continue
    [ "$comm" = swupdate ] || continue
    for each_fd in "$each"/fd/*; do
      if [ "$(readlink "$each_fd")" = "socket:[$inode]" ]; then
        names_bootloader "$(tr '\000' '\n' <"$each/cmdline")"
        return
      fi
    done
  done
}

names_bootloader() {
  ! printf '%s\n' "$1" | grep -q '^-B\|^--bootloader' || return 0
  config=$(printf '%s\n' "$1" | sed -n '/^\(-f\|--file\)$/{n;p;}' | head -n 1)
  config=${config:-/etc/swupdate.cfg}
  ! grep -q '^[[:space:]]*bootloader[[:space:]]*=' "$config" 2>/dev/null || return 0
  ! swupdate --help 2>/dev/null | grep -q 'bootloader interface (default: none)'
}

# What must hold before anything is written; in $target and $selection what it will be, where that is known.
look_ahead() {
  if [ -z "$program" ]; then
    can_ask || fail_with 'asking SWUpdate takes perl, python3 or socat, and none is there'
    # Its unit may just start it again.
    tries=0
    until find_socket; do
      tries=$((tries + 1))
      [ "$tries" -lt 15 ] || fail_with 'no SWUpdate listens'
      sleep 1
    done
    # Nothing is asked: what is asked takes a line from whoever waits for it.
    (through "$socket" 10 </dev/null >/dev/null) || fail_with "$socket cannot be used: is this user in its group?"
    knows_bootloader || fail_with 'SWUpdate runs without a bootloader interface: what an image sets for it would be dropped (option -B)'
  elif find_socket; then
    message 'another SWUpdate is at work, or runs as a daemon'
    exit 75
  fi
  read_value "$boot_variable" || fail_with "$why"
  find_slot || fail_with 'the slot that runs is not known'
  target=
  selection=
  if [ -n "$selections" ]; then
    case $newline$selections in *"$newline$slot="*) ;; *) fail_with "no selection is there for the slot that runs, $slot" ;; esac
    line=$(printf '%s' "$selections" | grep -v "^$slot=" | head -n 1)
    target=${line%%=*}
    selection=${line#*=}
  fi
  read_description "$image"
  wanted=$(image_version)
  version=$(running_version)
  if may_skip && { [ -z "$version" ] || [ -z "$wanted" ]; }; then
    fail_with 'the image leaves out what is installed already (install-if-...): that takes the setting version, and a version in it'
  fi
  if [ "$refuse_downgrade" = yes ]; then
    case $(compare "$wanted" "$version") in
    0 | 1) ;;
    -1) fail_with "No downgrading: version $version runs, the image has $wanted" ;;
    *) fail_with "No downgrading: versions cannot be compared, '$version' runs and the image has '$wanted'" ;;
    esac
  fi
  is_streamed || check_space
}

# Everything is unpacked there first, unless it is `installed-directly`.
check_space() {
  folder=$tmpdir
  if [ -z "$folder" ] && [ -z "$program" ]; then
    case $socket in /run/swupdate/*) ;; */sockinstctrl) folder=${socket%/*} ;; esac
  fi
  folder=${folder:-${TMPDIR:-/tmp}}
  needed=$(($(wc -c <"$image") / 1024 + 64))
  # shellcheck disable=SC2046
  set -- $(df -Pk "$folder" 2>/dev/null | tail -n 1)
  [ "$#" -lt 4 ] || [ "$4" -ge "$needed" ] || fail_with "no space in $folder, where SWUpdate unpacks: $4 KiB free, $needed KiB needed"
}

# One run, into $code and the notes of what was said.
run_once() {
  forget_notes
  rm -f "$state/code"
  inode=
  find_socket
  listened=$inode
  [ -n "$program" ] || watch_progress
  told=$(
    {
      {
        start_once 2>&1 3>&-
        code=$?
        echo "code $code" >&3
        # For people who look for the reason of a failure.
        echo "$code" >"$state/code"
      } | take_in
    } 3>&1
  )
  # Nobody knows how it ended.
  code=255
  while IFS= read -r line; do note_again "$line"; done <<NOTES
$told
NOTES
  drained=0
  [ -z "$program" ] || return 0
  # The client may have ended before the reason was told, or before the update has: where more padding follows an image than
  # SWUpdate reads (2022.12 counts it wrongly), it fails to write what nobody reads, and the update goes on.
  while :; do
    drain
    drained=$?
    if [ "$drained" != 75 ] || [ "$code" = 0 ] || [ -n "$said_refused" ]; then break; fi
    sleep 1
  done
  listens "$socket" || inode=
  [ -z "$watcher" ] || kill "$watcher" 2>/dev/null
}

# SWUpdate, or its client, in the place of this shell.
start_once() (
  if [ -z "$program" ]; then
    case $socket in */sockinstctrl) export TMPDIR="${socket%/*}" RUNTIME_DIRECTORY="${socket%/*}" ;; esac
    set -- -v
    [ -z "$selection" ] || set -- "$@" -e "$selection"
    words "$client" "$@" "$image" </dev/null
  else
    set -- -v -B "$bootloader"
    [ -z "$public_key" ] || set -- "$@" -k "$public_key"
    [ -z "$hardware" ] || set -- "$@" -H "$hardware"
    [ -z "$selection" ] || set -- "$@" -e "$selection"
    words "$program" "$@" -i "$image" </dev/null
  fi
)

# How the run ended: `installed`, `already`, `again` (nobody knows what is written), `busy`, `failed`; why is in $reason.
judge() {
  reason=${errors%%"$newline"*}
  reason=${reason:-$last}
  if [ -n "$said_refused" ]; then
    verdict=busy
    # Not by one at work: by none, and it may be there again by now.
    if [ "$drained" = 1 ] || [ "$inode" != "$listened" ]; then verdict=again; fi
    not_taken=$(printf '%s' "$errors" | grep '^Selection .* is not allowed' | tail -n 1)
    [ -z "$not_taken" ] || verdict=failed reason=$not_taken
    return
  fi
  if [ -z "$program" ] && { [ "$drained" != 0 ] || [ "$inode" != "$listened" ]; }; then
    verdict=again reason='SWUpdate ended in the middle of the installation, or its client did'
    return
  fi
  if [ "$code" = 126 ] || [ "$code" = 127 ]; then
    verdict=failed
    return
  fi
  if [ "$code" -gt 128 ]; then
    verdict=again reason='SWUpdate, or its client, was ended'
    return
  fi
  verdict=failed
  read_value "$boot_variable" || { reason=$why && return; }
  next=$value
  is_same=no
  [ -z "$version" ] || [ "$(compare "$wanted" "$version")" != 0 ] || is_same=yes
  # Its client failed to write what the daemon did not read: the daemon's word counts.
  if [ -n "$said_cut" ] && [ -n "$said_success" ] && [ -z "$errors" ]; then code=0; fi
  if [ -n "$errors" ] || [ "$code" != 0 ]; then
    case $reason in *'Found nothing to install'* | *'No reinstalling allowed'*)
      # The same words where the selection is not in the image: only the version tells.
      if [ "$is_same" = yes ]; then verdict=already; else reason="$reason: version '$version' runs, the image has '$wanted'"; fi
      return
      ;;
    esac
    [ -n "$errors" ] || verdict=again
  elif [ -z "$said_success" ] || { [ "$was_broken_off" = no ] && is_broken_off; }; then
    verdict=again reason='SWUpdate ended without its word that it is done'
  elif [ -n "$wanted" ] && [ -n "$said_version" ] && [ "$said_version" != "$wanted" ]; then
    verdict=again reason='SWUpdate installed something else meanwhile'
  elif may_skip && [ -z "$said_much" ]; then
    reason='SWUpdate does not say what it leaves out: it has to be started with -v'
  elif may_skip && [ -n "$said_skipped" ]; then
    # Its variables were set all the same: the slot they name was not written, or not as a whole.
    if [ "$is_same" = yes ]; then verdict=already; else reason='SWUpdate left out images that are installed already'; fi
  elif [ "$next" = "$slot" ]; then
    reason="SWUpdate is done, and $slot boots as before: has the image a bootenv that sets $boot_variable, and SWUpdate a bootloader interface (-B)?"
  elif [ -n "$target" ] && [ "$next" != "$target" ]; then
    reason="SWUpdate is done, and $next would boot instead of $target"
  else
    verdict=installed
  fi
}

# Out of time: what runs is ended with us, as far as we may. Whoever waits for it puts back what it switches.
give_up() {
  trap '' TERM
  generation=$(cat "$state/generation")
  (
    exec </dev/null >/dev/null 2>&1
    leave_notes
    await_idle 600 "$generation"
    ! has_generation "$generation" || put_back
  ) &
  exit 1
}

# OPERATION: what became of its install is not known. Once SWUpdate is idle, what is to boot is what it was before.
recover() {
  # Another install that has begun since takes what the daemon says: it is not asked beside that.
  began_last "$1" || return 0
  leave_notes
  ask_idle
  case $? in
  75) exit 75 ;;
  1) message 'no SWUpdate listens' ;;
  esac
  began_last "$1" || return 0
  put_back
}

# OPERATION: its install was the last to begin.
began_last() { { read -r operation; } 2>/dev/null <"$state/before" && [ "$operation" = "$1" ]; }

has_generation() { [ "$(cat "$state/generation")" = "$1" ]; }

# The slot that runs becomes the next to boot, and what the variables are then is written down. 1: it did not.
keep_variables() {
  read_value "$boot_variable" || return 1
  [ "$value" = "$slot" ] || write_value "$boot_variable" "$slot"
  before=
  for each in $variables; do
    read_value "$each" || return 1
    before=$before$each=$value$newline
  done
  case $before in "$boot_variable=$slot$newline"*) ;; *) why=${before%%"$newline"*} && return 1 ;; esac
  printf '%s' "$before" | keep "$state/before-variables" || fail_with 'the state folder cannot be written'
}

# In $was_broken_off; what boots is the system that runs, whatever an earlier install had made the next; no slot but the
# running one holds what we know.
prepare() {
  was_broken_off=no
  if is_broken_off; then
    was_broken_off=yes
    message 'an earlier update was broken off: it is installed in full'
  fi
  tries=0
  until keep_variables; do
    # Another updater may have set it in this moment.
    tries=$((tries + 1))
    [ "$tries" -lt 5 ] || fail_with "$boot_variable cannot be set to the slot that runs, $slot: $why"
    sleep 1
  done
  printf '%s\n' "$operation" | keep "$state/before" || fail_with 'the state folder cannot be written'
  mine=$(record_of "$slot")
  for each in "$state"/slot-*; do [ "$each" = "$mine" ] || rm -f "$each"; done
  rm -f "$state/installed"
  forget_parts "$state"
  # Earlier releases kept notes here.
  rm -f "$state"/said-* "$state/errors" "$state/last" "$state/request" "$state/answer"
  echo "$$.$(cat /proc/uptime)" >"$state/generation"
}

# IMAGE SHA256 OPERATION
install() {
  image=$1
  sha256=$2
  operation=$3
  look_ahead
  prepare
  trap give_up TERM
  runs=0
  while :; do
    runs=$((runs + 1))
    run_once
    judge
    case $verdict in
    installed) break ;;
    already)
      put_back || fail_with "what boots could not be put back: $why"
      keep_at_last "$mine" "$sha256 $wanted"
      message "version $version is installed already"
      echo '{"reboot_needed": false}'
      return
      ;;
    busy)
      restore
      exit 75
      ;;
    failed)
      restore
      case $reason in *'of all signatures failed'*) reason="$reason (its dates count, too; here it is $(date -u))" ;; esac
      fail_with "$reason"
      ;;
    esac
    # The slot holds nobody knows what: it is written again in full.
    message "$reason"
    await_idle 60 || fail_with "$reason, and it does not answer again"
    restore
    [ "$runs" -lt 3 ] || fail_with "$reason, again and again"
  done
  trap - TERM
  # Without the first nobody would know what runs after the boot, and the update would be told as fallen back.
  keep_at_last "$(record_of "$next")" "$sha256 $wanted"
  keep_at_last "$state/installed" "$operation $next"
}

# OPERATION ARGV...: what its install made the next to boot still is.
reboot() {
  if { read -r installed next; } 2>/dev/null <"$state/installed" && [ "$installed" = "$1" ]; then
    read_value "$boot_variable" || fail_with "$why"
    [ "$value" = "$next" ] || fail_with "$value would boot, and not $next as it was installed"
    ! is_broken_off || fail_with 'another update has begun since, and was broken off'
  fi
  shift
  exec "$@"
}

case $verb in
install) install "$@" ;;
evidence) evidence ;;
recover) recover "$@" ;;
reboot) reboot "$@" ;;
*)
  echo "there is no verb $verb" >&2
  exit 64
  ;;
esac
