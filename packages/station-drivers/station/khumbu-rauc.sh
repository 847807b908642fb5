# shellcheck shell=sh disable=SC2154 # what khumbu-tool.sh defines
# RAUC at a charging station. khumbu-tool.sh stands before it and takes the first words; these are left: MARK_GOOD ARGUMENTS...
#
# What RAUC says is believed where it is true (seen with 1.8): the exit of the client, never Operation, percent or `idle`. After
# a service that died in the middle, neither status=ok nor the checksum says anything about the slot.
state=$state_dir/rauc
mkdir -p "$state" || exit 1
mark_good=$1
shift

rauc() { words "$program" "$@"; }

# What to tell apart in words: RAUC has two spellings for a busy service.
is_busy_text() { case $1 in *[Aa]'lready processing a different method'*) return 0 ;; *) return 1 ;; esac; }

# Ask the service for its slots, into $status. 0, 75 it installs something, 1 it does not answer: why is in $why.
ask_status() {
  if capture rauc status --detailed --output-format=shell; then
    status=$out
    return 0
  fi
  why=$(last_line "$err")
  ! is_busy_text "$err" || return 75
  return 1
}

# KEY: its value in $status.
value() { printf '%s\n' "$status" | sed -n "s/^$1='\\(.*\\)'\$/\\1/p" | head -n 1; }

# SLOT: its number in $status.
number_of() {
  index=0
  for each in $(value RAUC_SYSTEM_SLOTS); do
    index=$((index + 1))
    if [ "$each" = "$1" ]; then
      echo "$index"
      return
    fi
  done
}

# The slot that runs. `booted` is a bootname, `boot_primary` a slot: two name spaces.
booted_slot() {
  bootname=$(value RAUC_SYSTEM_BOOTED_BOOTNAME)
  [ -n "$bootname" ] || return 0
  index=0
  for each in $(value RAUC_SYSTEM_SLOTS); do
    index=$((index + 1))
    if [ "$(value "RAUC_SLOT_BOOTNAME_$index")" = "$bootname" ]; then
      echo "$each"
      return
    fi
  done
}

# What is in a slot by RAUC's own file: checksum and the count of installs, which rises with each.
content_of() { printf '%s %s' "$(value "RAUC_SLOT_STATUS_CHECKSUM_SHA256_$1")" "$(value "RAUC_SLOT_STATUS_INSTALLED_COUNT_$1")"; }

evidence() {
  id=$(json_text "$(boot_id)")
  ask_status
  case $? in
  0) ;;
  75)
    # While something is installed RAUC does not answer; the running slot is the one from before.
    last=$(cat "$state/evidence" 2>/dev/null)
    case $last in *"\"boot_id\": \"$id\""*) printf '%s\n' "$last" && return ;; esac
    echo 'RAUC installs something and does not answer' >&2
    return 1
    ;;
  *)
    printf '%s\n' "$why" >&2
    return 1
    ;;
  esac
  slot=$(booted_slot)
  if [ -z "$slot" ]; then
    echo 'RAUC does not know the slot that runs' >&2
    return 1
  fi
  index=$(number_of "$slot")
  # `null`: what runs is not ours, or not any more.
  running=null
  if [ -r "$state/slot-$slot" ]; then
    read -r sha256 there <"$state/slot-$slot"
    [ "$there" != "$(content_of "$index")" ] || running="\"$sha256\""
  fi
  version=$(json_words "$(value "RAUC_SLOT_STATUS_BUNDLE_VERSION_$index")")
  [ -z "$version" ] || version=", \"version\": \"$version\""
  healthy=false
  if is_healthy; then
    healthy=true
    if [ "$mark_good" = yes ] && [ "$(value "RAUC_SLOT_BOOT_STATUS_$index")" != good ]; then
      rauc status mark-good >/dev/null 2>&1 || healthy=false
    fi
  fi
  line="{\"boot_id\": \"$id\", \"healthy\": $healthy, \"slot\": \"$slot\", \"running_sha256\": $running$version}"
  printf '%s\n' "$line"
  # For the time in which RAUC does not answer. Where there is no room for it, nothing is told then.
  if [ "$line" != "$(cat "$state/evidence" 2>/dev/null)" ]; then
    printf '%s\n' "$line" | keep "$state/evidence" 2>/dev/null || rm -f "$state/evidence"
  fi
}

# BEFORE: if another slot than before would be booted, the one that runs becomes it again. What an installation that failed
# has switched would be booted some day. A bootloader that does not tell is left alone.
put_back() {
  [ -n "$1" ] || return 0
  ask_status || return 1
  case $(value RAUC_BOOT_PRIMARY) in '' | "$1") return 0 ;; esac
  if [ "$(booted_slot)" = "$1" ]; then rauc status mark-active booted; else rauc status mark-active "$1"; fi >/dev/null 2>&1
  ask_status || return 1
  [ "$(value RAUC_BOOT_PRIMARY)" = "$1" ]
}

# Until the service answers again and installs nothing; 1 when it did not come back.
await_service() {
  tries=0
  while [ "$tries" -lt "$1" ]; do
    ask_status && return 0
    [ $? = 75 ] || tries=$((tries + 1))
    sleep 1
  done
  return 1
}

# Out of time: the client is ended with us, the service goes on. Whoever waits for it puts back what it switches.
give_up() {
  trap '' TERM
  generation=$(cat "$state/generation")
  (
    exec </dev/null >/dev/null 2>&1 3>&-
    await_service 600
    [ "$(cat "$state/generation")" != "$generation" ] || put_back "$before"
  ) &
  exit 1
}

# Its version, in $major, $minor, $patch; zeros where it does not tell.
read_version() {
  rest=$(rauc --version 2>/dev/null | sed -n 's/^rauc \([0-9.]*\).*/\1/p').0.0
  major=${rest%%.*}
  rest=${rest#*.}
  minor=${rest%%.*}
  rest=${rest#*.}
  patch=${rest%%.*}
}

# MAJOR MINOR PATCH: the one that was read is older.
is_before() {
  [ "${major:-0}" -eq "$1" ] || {
    [ "${major:-0}" -lt "$1" ]
    return
  }
  [ "${minor:-0}" -eq "$2" ] || {
    [ "${minor:-0}" -lt "$2" ]
    return
  }
  [ "${patch:-0}" -lt "$3" ]
}

# IMAGE: what RAUC says of it, before anything is written; in $manifest_hash what it is to be again when it is installed.
look_into() {
  manifest_hash=
  read_version
  is_large=no
  [ "$(($(wc -c <"$1")))" -le 2147483647 ] || is_large=yes
  if is_before 1 14 0 && [ "$is_large" = no ]; then return 0; fi
  if ! capture rauc info --no-check-time "$1"; then
    why=$(last_line "$err")
    [ "$is_large" = no ] || fail_with "Invalid bundle, above 2 GiB: $why"
    fail_with "$why"
  fi
  info=$out
  format=$(printf '%s\n' "$info" | sed -n 's/^Bundle Format:[[:space:]]*\([a-z]*\).*/\1/p' | head -n 1)
  case $format in
  verity | crypt)
    ! is_before 1 14 0 || return 0
    manifest_hash=$(printf '%s\n' "$info" | sed -n "s/^Manifest Hash:[[:space:]]*'\([0-9a-f]*\)'.*/\1/p" | head -n 1)
    [ -n "$manifest_hash" ] || fail_with 'RAUC tells no manifest hash'
    ;;
  *)
    # It has no hash.
    if [ "$is_large" = yes ]; then fail_with 'Invalid bundle: plain bundles above 2 GiB are unsafe with RAUC before 1.15.2, and refused by it from then on'; fi
    ;;
  esac
}

# TEXT: exits by what it means. Time is not forgery.
fail_with() {
  message "$1"
  printf '%s\n' "$1" >&2
  case $1 in
  *'has expired'* | *'not yet valid'*)
    message "the station's clock or the certificate's dates: $1"
    exit 1
    ;;
  *'signature verification failed'* | *'Verify error'* | *'ompatible mismatch'* | *'Invalid bundle'* | *'not a RAUC bundle'*) exit 65 ;;
  esac
  exit 1
}

# IMAGE: the client, in the place of this shell.
start_client() (
  if [ -n "$manifest_hash" ]; then set -- --require-manifest-hash "$manifest_hash" "$1"; fi
  rauc install "$@"
)

# Its standard output: progress goes on to ours, the reason of a failure to descriptor 4.
take_in() {
  while IFS= read -r line; do
    case $line in
    'LastError: '*) printf 'khumbu-reason %s\n' "${line#LastError: }" >&4 ;;
    *%*)
      percent=${line%%\%*}
      percent=${percent##* }
      case $percent in '' | *[!0-9]*) ;; *) printf '{"progress": %s}\n' "$percent" ;; esac
      ;;
    esac
  done
}

# IMAGE: one run of the client. Its exit code in $code, its own reason in $reason, its standard error in $errors. Nothing of it
# takes room: what was installed would be installed again if the state folder were full.
install_once() {
  exec 3>&1
  said=$(
    {
      {
        start_client "$1" 2>&4
        # Its last words may have no line end.
        printf '\nkhumbu-code %s\n' "$?" >&4
      } | take_in >&3
    } 4>&1 | tail -c 8000
  )
  exec 3>&-
  code=$(printf '%s\n' "$said" | sed -n 's/^khumbu-code //p' | tail -n 1)
  reason=$(printf '%s\n' "$said" | sed -n 's/^khumbu-reason //p' | tail -n 1)
  errors=$(printf '%s\n' "$said" | grep -v '^khumbu-\|^$')
  [ -n "$reason" ] || reason=$(printf '%s\n' "$errors" | tail -n 1)
}

# OPERATION: what became of its install is not known: it lost power, or was killed. Its service may be at work still. Once that
# is over, what is to boot is what it was before.
recover() {
  ask_status
  case $? in
  0) ;;
  75) exit 75 ;;
  *)
    printf '%s\n' "$why" >&2
    exit 1
    ;;
  esac
  { read -r operation before; } 2>/dev/null <"$state/before" || return 0
  # Another install has begun since.
  [ "$operation" = "$1" ] || return 0
  put_back "$before"
}

# IMAGE SHA256 OPERATION
install() {
  image=$1
  sha256=$2
  operation=$3
  ask_status
  case $? in
  0) ;;
  75) exit 75 ;;
  *) fail_with "RAUC does not answer: $why" ;;
  esac
  look_into "$image"
  # What runs, and not what an install that was never booted had made the next: its slot is about to be written.
  before=$(booted_slot)
  # Apart, for it has names of its own for what is read here.
  (evidence) >/dev/null || fail_with 'RAUC does not know the slot that runs'
  forget_parts "$state"
  echo "$$.$(cat /proc/uptime)" >"$state/generation"
  # By this what it switches is put back, whatever becomes of us.
  printf '%s %s\n' "$operation" "$before" >"$state/before" || fail_with 'the state folder cannot be written'
  flush "$state/before"
  put_back "$before" || fail_with "the slot that runs, $before, cannot be made the next to boot"
  trap give_up TERM
  runs=0
  while :; do
    runs=$((runs + 1))
    install_once "$image"
    case $code in
    0) break ;;
    2)
      ! is_busy_text "$errors" || exit 75
      case $errors in
      *'service disappeared'*) why='RAUC ended in the middle of the installation' ;;
      *) fail_with "RAUC does not answer: $reason" ;;
      esac
      ;;
    1)
      put_back "$before" || message 'the slot to boot could not be put back'
      fail_with "$reason"
      ;;
    *) why='the client of RAUC was ended' ;;
    esac
    # The slot holds nobody knows what, whatever RAUC says of it: it is written again in full.
    message "$why"
    await_service 60 || fail_with "$why, and it does not answer again"
    put_back "$before" || message 'the slot to boot could not be put back'
    [ "$runs" -lt 3 ] || fail_with "$why, again and again"
  done
  trap - TERM
  await_service 60 || fail_with 'RAUC does not answer after the installation'
  after=$(value RAUC_BOOT_PRIMARY)
  [ -n "$after" ] || after=$(changed_slot)
  index=$(number_of "$after")
  if [ -z "$index" ] || [ "$after" = "$(booted_slot)" ]; then fail_with 'RAUC says it is done, and boots the slot that runs'; fi
  # Without it nobody would know what runs after the boot, and the update would be told as fallen back.
  keep_at_last "$state/slot-$after" "$sha256 $(content_of "$index")"
}

# Where the bootloader tells nothing: the other slot of the class whose bundle was written last.
changed_slot() {
  newest=
  found=
  running=$(booted_slot)
  for each in $(value RAUC_SYSTEM_SLOTS); do
    [ "$each" != "$running" ] || continue
    [ -n "$(value "RAUC_SLOT_BOOTNAME_$(number_of "$each")")" ] || continue
    when=$(value "RAUC_SLOT_STATUS_INSTALLED_TIMESTAMP_$(number_of "$each")")
    if [ -n "$when" ] && [ "$(printf '%s\n%s\n' "$newest" "$when" | sort | tail -n 1)" = "$when" ]; then
      newest=$when
      found=$each
    fi
  done
  printf '%s' "$found"
}

case $verb in
install) install "$@" ;;
evidence) evidence ;;
recover) recover "$@" ;;
*)
  echo "there is no verb $verb" >&2
  exit 64
  ;;
esac
