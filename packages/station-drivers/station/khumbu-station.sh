#!/bin/sh
# The part of Khumbu that runs on a charging station. A worker puts it there under the name of its SHA-256 and calls it
# with an argument vector; nothing that comes from outside is ever read as shell code. POSIX sh; needs Linux' /proc and
# setsid, mkfifo, dd, sync, sha256sum, find, head (busybox has them all).
#
#   khumbu-station VERB STATE_DIR N BOOT_ID_ARGV... ARGUMENTS...
#
# N is the number of words in BOOT_ID_ARGV, the program that tells one boot from another; 0: the kernel's own boot id.
# What the folder STATE_DIR holds is written down in docs/stations.md; `layout` has its version.
set -u
umask 077
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH

LAYOUT=1
SELF=$0

fail() {
  printf 'khumbu-station: %s\n' "$1" >&2
  exit 90
}

nap() { sleep 0.05 2>/dev/null || sleep 1; }
flush() { sync "$1" 2>/dev/null || sync; }
flush_all() { sync "$1"/* 2>/dev/null || sync; }

# Standard input becomes the content of a file, durably: whole or not at all.
store() {
  if dd of="$1.$$" conv=fsync 2>/dev/null && mv -f "$1.$$" "$1"; then
    flush "${1%/*}"
  else
    rm -f "$1.$$"
    return 1
  fi
}

# FILE TEXT: the same for what must not be lost, however long there is no room for it.
store_at_last() {
  until printf '%s\n' "$2" | store "$1"; do
    [ -d "${1%/*}" ] || return 1
    sleep 1
  done
}

uptime_s() {
  read -r uptime _ </proc/uptime
  uptime=${uptime%%.*}
}

# The start of a process in clock ticks, in $ticks. Fails where there is no such process; a zombie is none.
ticks_of() {
  ticks=
  { IFS= read -r stat; } 2>/dev/null <"/proc/$1/stat" || return 1
  # shellcheck disable=SC2086
  set -- ${stat##*) }
  [ "$1" != Z ] || return 1
  ticks=${20}
}

# PID TICKS BOOT: the very process that was written down still runs. A pid alone may mean another one tomorrow.
runs() { [ "$3" = "$kernel_boot" ] && ticks_of "$1" && [ "$ticks" = "$2" ]; }

file_runs() {
  { read -r pid when where _; } 2>/dev/null <"$1" || return 1
  runs "$pid" "$when" "${where:-none}"
}

write_me() {
  ticks_of "$1" || ticks=0
  uptime_s
  printf '%s %s %s %s\n' "$1" "$ticks" "$kernel_boot" "$uptime"
}

# --- A lock among the calls of this program -------------------------------------------------------------------------
# NAME.1, NAME.2, ...: who creates the next number holds the lock until it says so (NAME.N.free) or its process ends. The
# highest number is never removed, and only the one after it can be taken, so a lock whose holder died is taken over by
# exactly one.
highest_of() {
  highest=0
  for each in "$state/locks/$1".*; do
    number=${each##*.}
    case $number in *[!0-9]* | '') continue ;; esac
    [ "$number" -le "$highest" ] || highest=$number
  done
}

# NAME SECONDS
lock() {
  mine=$state/locks/.$$.$1
  write_me $$ >"$mine" || fail 'the state folder cannot be written'
  uptime_s
  until_s=$((uptime + $2))
  while :; do
    highest_of "$1"
    last=$state/locks/$1.$highest
    if [ "$highest" = 0 ] || [ -e "$last.free" ] || { [ -e "$last" ] && ! file_runs "$last"; }; then
      held=$state/locks/$1.$((highest + 1))
      if ln "$mine" "$held" 2>/dev/null; then
        took=$((highest + 1))
        highest_of "$1"
        # A slow one may have taken a number that was passed long ago.
        if [ "$highest" = "$took" ]; then
          rm -f "$mine"
          for each in "$state/locks/$1".*; do
            number=${each#"$state/locks/$1."}
            number=${number%%.*}
            case $number in *[!0-9]* | '') continue ;; esac
            [ "$number" -ge "$took" ] || rm -f "$each"
          done
          return 0
        fi
        rm -f "$held"
      fi
      continue
    fi
    uptime_s
    if [ "$uptime" -ge "$until_s" ]; then
      rm -f "$mine"
      return 1
    fi
    nap
  done
}

# Where there is no room for one more name, the holder's is taken back.
unlock() { printf '' >"$held.free" || printf '' >"$held"; }

# --- Commands with a time limit --------------------------------------------------------------------------------------
# FILE LIMIT_S FLAG: ends the process group that is written down in FILE when its time is over. It looks every few seconds
# whether there is still something to end: whoever would have told it may have been killed.
watch() {
  exec </dev/null >/dev/null 2>&1
  sleeper=
  trap 'kill $sleeper 2>/dev/null; exit 0' TERM
  uptime_s
  over=$((uptime + $2))
  while [ "$uptime" -lt "$over" ]; do
    pause=$((over - uptime))
    [ "$pause" -le 5 ] || pause=5
    sleep "$pause" &
    sleeper=$!
    wait "$sleeper"
    file_runs "$1" || exit 0
    uptime_s
  done
  : >"$3"
  end_group "$1"
}

end_group() {
  file_runs "$1" || return 0
  asked=
  tries=0
  while [ "$tries" -lt 60 ] && file_runs "$1"; do
    # Its group is there a moment after it was begun; until then it is alone.
    [ -n "$asked" ] || ! { kill -TERM "-$pid" || kill -TERM "$pid"; } 2>/dev/null || asked=yes
    tries=$((tries + 1))
    nap
  done
  { kill -KILL "-$pid" || kill -KILL "$pid"; } 2>/dev/null
  return 0
}

# NAME LIMIT_S ARGV...: run it under a name by which it can be ended; exits as it does, 124 when it was out of time.
limited() {
  run=$state/runs/$1
  limit=$2
  shift 2
  [ "$#" -gt 0 ] || fail 'there is no command'
  # Words of the shell about a child that was ended may find nobody at the other end.
  trap : PIPE
  exec 3<&0
  # Only what is ours is private: a command, also one by sudo, which takes this over, makes files that others read.
  umask 022
  setsid "$@" <&3 3<&- &
  child=$!
  umask 077
  exec 3<&-
  if ! write_me "$child" >"$run"; then
    kill -KILL "-$child" "$child" 2>/dev/null
    fail 'the state folder cannot be written'
  fi
  watch "$run" "$limit" "$run.late" &
  watcher=$!
  # It was to end before it was written down.
  [ ! -e "$run.end" ] || end_group "$run"
  wait "$child"
  code=$?
  kill "$watcher" 2>/dev/null
  wait "$watcher" 2>/dev/null
  if [ -e "$run.late" ]; then
    code=124
    printf 'khumbu-station: not done in %s s\n' "$limit" >&2
  fi
  rm -f "$run" "$run.late" "$run.end"
  return "$code"
}

# --- Boots -----------------------------------------------------------------------------------------------------------
find_boot() {
  read -r kernel_boot </proc/sys/kernel/random/boot_id || fail 'there is no boot id in /proc'
  boot=$kernel_boot
}

# N ARGV...: what tells this boot from others, in $boot; one line of plain characters. Words after the N are left alone.
ask_boot() {
  [ "$1" -gt 0 ] || return 0
  others=$(($# - 1 - $1))
  turn=$1
  shift
  while [ "$turn" -gt 0 ]; do
    word=$1
    shift
    set -- "$@" "$word"
    turn=$((turn - 1))
  done
  shift "$others"
  boot=$(limited "boot.$$" 20 "$@" 2>/dev/null </dev/null | head -c 200 | tr -dc 'A-Za-z0-9._:-')
  [ -n "$boot" ] || fail 'the boot id cannot be read'
}

# --- Effects: install, reboot, restart -------------------------------------------------------------------------------
# In $seen: absent | running | ended CODE SECONDS_AGO | lost. A reboot whose command has ended well runs on until the boot.
look_at() {
  effect=$state/effects/$1
  if [ ! -e "$effect/begun" ]; then
    seen=absent
    return
  fi
  uptime_s
  read -r _ _ begun_boot begun_at <"$effect/begun"
  if [ -e "$effect/result" ]; then
    read -r code ended_at <"$effect/result"
    age=999999
    [ "$begun_boot" != "$kernel_boot" ] || age=$((uptime - ended_at))
    seen="ended $code $age"
  elif file_runs "$effect/begun" || file_runs "$effect/child"; then
    seen=running
  else
    seen=lost
    age=999999
    [ "$begun_boot" != "$kernel_boot" ] || age=$((uptime - begun_at))
  fi
  case $1 in
  *.reboot)
    boot_before=
    read -r boot_before <"$effect/boot"
    if [ "$boot_before" != "$boot" ]; then
      seen='ended 0 0'
    elif [ "$seen" != running ]; then
      # Only a new boot is proof; a command that failed may have been ended by the very shutdown it began.
      read -r patience <"$effect/patience"
      case $seen in ended\ 0\ * | ended\ 12[89]\ * | ended\ 1[3-9]?\ * | ended\ 2??\ * | lost) ;; *) patience=20 ;; esac
      [ "$age" -ge "$patience" ] || seen=running
    fi
    ;;
  esac
}

is_busy() {
  { read -r active; } 2>/dev/null <"$state/active" || return 1
  look_at "$active"
  [ "$seen" = running ]
}

# NAME FILE [MOST]: as it is now, its first MOST bytes at most. Another call may be writing it, or removing it: what is told
# is as much as was counted, of the file that was opened.
section() {
  if [ ! -s "$2" ]; then
    [ ! -e "$2" ] || say "$1" ''
    return 0
  fi
  # It is gone by now where it cannot be opened.
  { tell "$1" "${3:-}" 2>&4; } 4>&2 2>/dev/null 3<"$2" || return 0
}

# NAME [MOST]: what is open as 3.
tell() {
  size=$(wc -c </proc/self/fd/3) || fail 'what the state folder holds cannot be read'
  size=$((size))
  [ -z "$2" ] || [ "$size" -le "$2" ] || size=$2
  printf '@%s %s\n' "$1" "$size"
  head -c "$size" <&3 || fail 'what the state folder holds cannot be read'
  echo
}

say() { printf '@%s %s\n%s\n' "$1" "${#2}" "$2"; }

# FILE LINES BYTES PATTERN: keep the first lines of standard input that begin so, and the last one that does not fit; never
# stop reading. What is kept of an effect has to fit into one answer. Reading line by line makes a program that floods us wait.
keep_lines() {
  kept=0
  room=$3
  rest=
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in "$4"*) ;; *) continue ;; esac
    if [ "${#line}" -gt 4000 ]; then
      line=$(printf '%s' "$line" | head -c 4000)
    fi
    if [ "$kept" -lt "$2" ] && [ "${#line}" -lt "$room" ]; then
      kept=$((kept + 1))
      room=$((room - ${#line} - 1))
      printf '%s\n' "$line" >>"$1"
    else
      rest=$line
    fi
    line=
  done
  [ -z "$rest" ] || printf '%s\n' "$rest" >>"$1"
}

# NONCE: the detached process of an effect. It alone decides whether the effect begins, under the lock.
run_effect() {
  ask=$state/asks/$1
  read -r operation step limit <"$ask/what" || fail 'nothing was asked'
  name=$operation.$step
  effect=$state/effects/$name
  if [ ! -e "$effect/begun" ] && [ -s "$ask/probe" ]; then
    set --
    while IFS= read -r word; do set -- "$@" "$word"; done <"$ask/probe"
    limited "before.$$" 30 "$@" 2>/dev/null </dev/null | head -c 16384 >"$ask/before" ||
      answer 'error the state folder cannot be written'
  fi
  if [ -e "$ask/answer" ]; then return; fi
  if ! lock effects 30; then
    answer 'error the station is occupied with itself'
  elif [ -e "$effect/begun" ]; then
    answer known
  elif [ -e "$state/retired/$operation" ]; then
    answer retired
  elif is_busy; then
    answer "busy $active"
  elif [ "$step" = install ] && [ ! -e "$ask/pulled" ] && [ ! -f "$state/images/$(cat "$ask/image")" ]; then
    # The end of another install of the same image took it away: it is brought again.
    answer 'error the image is not there any more'
  else
    effect=$state/effects/$name
    rm -rf "$effect"
    if mkdir "$effect" && cp "$ask"/* "$effect/" && printf '%s\n' "$boot" >"$effect/boot" &&
      flush_all "$effect" && printf '%s\n' "$name" | store "$state/active" && write_me $$ | store "$effect/begun"; then
      unlock
      answer started
      perform
      exit 0
    fi
    rm -rf "$effect"
    answer 'error the state folder cannot be written'
  fi
  unlock
}

answer() { printf '%s\n' "$1" >"$ask/answer.part" && mv "$ask/answer.part" "$ask/answer"; }

perform() {
  mkfifo "$effect/out.pipe" "$effect/err.pipe"
  : >"$effect/out"
  : >"$effect/err"
  # Opened for both ways first: whoever opens one end of a pipe alone waits for the other one, for ever where we are killed
  # meanwhile. Held open for writing, so that the readers go on from one try to the next.
  exec 6<>"$effect/out.pipe" 7<>"$effect/err.pipe"
  exec 4>"$effect/out.pipe" 5>"$effect/err.pipe"
  exec 8<"$effect/out.pipe" 9<"$effect/err.pipe"
  exec 6>&- 7>&-
  {
    exec 4>&- 5>&- 9<&-
    keep_lines "$effect/out" 4000 524288 '{' <&8
  } &
  readers=$!
  {
    exec 4>&- 5>&- 8<&-
    keep_lines "$effect/err" 100 262144 '' <&9
  } &
  readers="$readers $!"
  exec 8<&- 9<&-
  set --
  while IFS= read -r word; do set -- "$@" "$word"; done <"$effect/argv"
  uptime_s
  until_s=$((uptime + limit))
  while :; do
    umask 022
    rm -f "$effect/child"
    setsid /bin/sh "$SELF" run-command "$state" 0 "$name" "$@" </dev/null >&4 2>&5 4>&- 5>&- &
    child=$!
    umask 077
    until [ -s "$effect/child" ] || ! ticks_of "$child"; do nap; done
    {
      # For good: a redirection of the function alone would keep them open beside.
      exec 4>&- 5>&-
      watch "$effect/child" "$((until_s - uptime))" "$effect/late"
    } &
    watcher=$!
    wait "$child"
    code=$?
    kill "$watcher" 2>/dev/null
    uptime_s
    # What runs as root is ended by sudo, whose own watch may come first.
    if [ "$code" -gt 128 ] && [ "$uptime" -ge "$until_s" ]; then code=late; fi
    # Busy: it is tried again, until its time is over or the operation was given up.
    if [ "$code" != 75 ] || [ "$step" != install ] || [ -e "$state/retired/$operation" ]; then break; fi
    sleep 5
    uptime_s
    [ "$uptime" -lt "$until_s" ] || break
  done
  exec 4>&- 5>&-
  # What the command left running may hold its output open: that is not waited for.
  (
    exec </dev/null >/dev/null 2>&1
    sleep 2
    # shellcheck disable=SC2086
    kill $readers
  ) &
  reaper=$!
  # shellcheck disable=SC2086
  wait $readers
  kill "$reaper" 2>/dev/null
  rm -f "$effect/out.pipe" "$effect/err.pipe"
  [ ! -e "$effect/late" ] || code=late
  if [ "$step" = install ] && [ "$code" = 0 ]; then record_install; fi
  uptime_s
  flush "$effect/out"
  store_at_last "$effect/result" "$code $uptime"
  forget_old
}

# NAME ARGV...: the command of an effect. It is written down before it begins, and does not begin when the process that wanted it
# is gone by then: whoever found neither of them has told that it broke off.
run_command() {
  effect=$state/effects/$1
  shift
  umask 077
  until write_me $$ >"$effect/child.part" && mv -f "$effect/child.part" "$effect/child"; do
    file_runs "$effect/begun" || exit 1
    sleep 1
  done
  file_runs "$effect/begun" || exit 1
  umask 022
  exec "$@"
}

# Who installed what, and in which boot: by this the running slot is known after the next one.
record_install() {
  reboot=yes
  ! tail -n 50 "$effect/out" | grep -q '"reboot_needed"[[:space:]]*:[[:space:]]*false' || reboot=no
  highest=0
  for each in "$state/installs"/*; do
    number=${each##*/}
    case $number in *[!0-9]* | '') continue ;; esac
    while [ "${number#0}" != "$number" ]; do number=${number#0}; done
    [ "${number:-0}" -le "$highest" ] || highest=$number
  done
  said=$(cat "$effect/before" 2>/dev/null)
  store_at_last "$state/installs/$(printf '%06d' $((highest + 1)))" \
    "$operation $(cat "$effect/image" 2>/dev/null || echo -) $reboot $boot $(date +%s)
$said"
  rm -f "$state/installs/$(printf '%06d' $((highest - 9)))"
}

# The state folder stays small: 40 effects, 500 operations given up, and no image of an install that has ended.
forget_old() {
  [ "$step" != install ] || rm -f "$state/images/$(cat "$effect/image" 2>/dev/null || echo none)"
  oldest_beyond "$state/effects" 40 | while IFS= read -r each; do rm -rf "$state/effects/$each"; done
  oldest_beyond "$state/retired" 500 | while IFS= read -r each; do rm -f "$state/retired/$each"; done
  find "$state/asks" "$state/runs" -mindepth 1 -maxdepth 1 -mtime +1 -exec rm -rf {} + 2>/dev/null
  find "$state/locks" -type f \( -name 'put-*' -o -name '.*' \) -mtime +1 -exec rm -f {} + 2>/dev/null
}

# The names are ours: no spaces.
# shellcheck disable=SC2012
oldest_beyond() { ls -1t "$1" | tail -n "+$(($2 + 1))"; }

# NONCE: out of reach of the session that asked for it. A transient unit where systemd runs: it may end what a session
# leaves behind. No word here has a `$`, which systemd would replace; the words of the command are in a file.
detach() {
  if [ -d /run/systemd/system ] && [ "$(id -u)" = 0 ] && command -v systemd-run >/dev/null 2>&1; then
    systemd-run --quiet --collect --unit="khumbu-$1" --setenv=PATH="$PATH" \
      /bin/sh "$SELF" run-effect "$state" 0 "$1" >/dev/null 2>&1 && return 0
  fi
  setsid /bin/sh "$SELF" run-effect "$state" 0 "$1" </dev/null >/dev/null 2>&1 &
}

# What became of the process that decides, into $answer: its own word, or what it leaves behind when it ended without one.
await_answer() {
  tries=0
  while [ ! -e "$ask/answer" ]; do
    tries=$((tries + 1))
    # It is given time to be there at all.
    if [ "$tries" -gt 1600 ] || { [ "$tries" -gt 200 ] && [ ! -s "$ask/.runner" ]; } ||
      { [ -s "$ask/.runner" ] && ! file_runs "$ask/.runner" && [ ! -e "$ask/answer" ]; }; then
      answer='error the process of the effect ended without an answer'
      [ ! -e "$state/effects/$1/begun" ] || answer=known
      return
    fi
    nap
  done
  # An empty one: there was no room for a word.
  read -r answer <"$ask/answer" || answer='error the state folder cannot be written'
}

# --- Verbs -----------------------------------------------------------------------------------------------------------
# OPERATION STEP LIMIT_S PATIENCE_S IMAGE NONCE N PROBE_ARGV... ARGV...; IMAGE: its SHA-256, which the install fetches itself
# where `pulled:` stands before it; -: none.
start() {
  ask=$state/asks/$6
  mkdir "$ask" || fail 'the state folder cannot be written'
  name=$1.$2
  if ! { printf '%s %s %s\n' "$1" "$2" "$3" >"$ask/what" && printf '%s\n' "$4" >"$ask/patience" &&
    printf '%s' "$boot_words" >"$ask/boot-id" && { [ "$5" = - ] || printf '%s\n' "${5#pulled:}" >"$ask/image"; } &&
    { [ "${5#pulled:}" = "$5" ] || : >"$ask/pulled"; }; }; then
    fail 'the state folder cannot be written'
  fi
  nonce=$6
  probe_words=$7
  shift 7
  : >"$ask/probe"
  while [ "$probe_words" -gt 0 ]; do
    printf '%s\n' "$1" >>"$ask/probe" || fail 'the state folder cannot be written'
    shift
    probe_words=$((probe_words - 1))
  done
  printf '%s\n' "$@" >"$ask/argv" || fail 'the state folder cannot be written'
  detach "$nonce"
  await_answer "$name"
  printf '%s\n' "$answer"
  rm -rf "$ask"
}

# OPERATION.STEP
observe_effect() {
  look_at "$1"
  say state "$seen"
  if [ "$seen" != absent ]; then
    for each in out err; do section "$each" "$effect/$each"; done
  elif [ -e "$state/retired/${1%.*}" ]; then
    say others retired
  elif is_busy; then
    say others "busy $active"
  else
    say others free
  fi
}

# NONCE LIMIT_S PROBE_ARGV...
observe() {
  say boot "$boot"
  if is_busy; then say busy "$active"; else say busy ''; fi
  # Whole ones: six digits.
  for each in "$state/installs"/[0-9][0-9][0-9][0-9][0-9][0-9]; do section install "$each"; done
  nonce=$1
  limit=$2
  shift 2
  limited "$nonce" "$limit" "$@" </dev/null >"$state/runs/$nonce.out" 2>"$state/runs/$nonce.err"
  say exit "$?"
  for each in out err; do section "$each" "$state/runs/$nonce.$each" 65536; done
  rm -f "$state/runs/$nonce.out" "$state/runs/$nonce.err"
}

# OPERATION
retire() {
  lock effects 30 || fail 'the station is occupied with itself'
  printf '%s\n' "$boot" | store "$state/retired/$1" || fail 'the state folder cannot be written'
  unlock
}

# SHA256 SIZE OFFSET: standard input goes on from there. Says `have BYTES`, `done`, `mismatch` or `taken`. Offset -: only look.
put() {
  image=$state/images/$1
  if [ "$3" = - ] && [ -f "$image" ]; then
    # It may lie here since an earlier try, on a flash that has lost some of it. Another look may just have it removed.
    if ! lock "put-$1" 2; then
      echo taken
      return
    fi
    has_sum "$image" "$1" || rm -f "$image"
    unlock
  fi
  # Of an append: another one has brought it since the look.
  if [ -f "$image" ]; then
    echo "done"
    return
  fi
  if [ "$3" = - ]; then
    there=$(size_of "$image.part")
    free=$(df -Pk "$state/images" | tail -n 1)
    # shellcheck disable=SC2086
    set -- $2 $free
    [ $((($1 - there) / 1024 + 64)) -lt "$5" ] || fail "no space: $5 KiB free, $((($1 - there) / 1024)) KiB needed"
    echo "have $there"
    return
  fi
  find "$state/images" -type f -mtime +2 ! -name "$1*" -exec rm -f {} + 2>/dev/null
  if ! lock "put-$1" 2; then
    echo taken
    return
  fi
  # More than there can be: it was not written by us.
  [ "$(size_of "$image.part")" -le "$2" ] || rm -f "$image.part"
  if [ "$(size_of "$image.part")" != "$3" ]; then
    unlock
    echo "have $(size_of "$image.part")"
    return
  fi
  cat >>"$image.part"
  code=$?
  there=$(size_of "$image.part")
  if [ "$code" != 0 ]; then
    unlock
    fail "the image cannot be written: $(df -Pk "$state/images" | tail -n 1)"
  fi
  if [ "$there" -lt "$2" ]; then
    unlock
    echo "have $there"
    return
  fi
  flush "$image.part"
  if has_sum "$image.part" "$1"; then
    mv -f "$image.part" "$image"
    flush "$state/images"
    echo "done"
  else
    rm -f "$image.part"
    echo mismatch
  fi
  unlock
}

# FILE SHA256. One that cannot be read has none; one that another call has just removed neither.
has_sum() {
  sum=$({ sha256sum; } 2>/dev/null <"$1") || return 1
  [ "${sum%% *}" = "$2" ]
}

# 0 where there is none: another call may just have given it its name.
size_of() {
  bytes=$({ wc -c; } 2>/dev/null <"$1") || bytes=0
  echo $((bytes))
}

# --- Who keeps the clock (khumbu-check.sh has this part as well) ---
# KEEPER: it says itself that it is not synchronised. One that cannot be asked is believed.
is_unsynchronised() {
  case $1 in
  chronyd) words=$(chronyc -n tracking 2>/dev/null) ;;
  ntpd | openntpd)
    if command -v ntpctl >/dev/null 2>&1; then words=$(ntpctl -s status 2>/dev/null); else words=$(ntpq -c 'rv 0 leap' 2>/dev/null); fi
    ;;
  *) words=$(timedatectl show -p NTPSynchronized 2>/dev/null) ;;
  esac
  case $words in
  *'Not synchronised'* | *'clock unsynced'* | *leap=11* | *leap_alarm* | NTPSynchronized=no) return 0 ;;
  *) return 1 ;;
  esac
}

# Who keeps the clock: setting it beside a time service would not last. One that runs and has no time, as in a depot
# without a time server, keeps nothing.
clock_keeper() {
  keeper=
  for each in chronyd ntpd openntpd; do
    if pidof "$each" >/dev/null 2>&1; then keeper=$each; fi
  done
  if [ -z "$keeper" ] && [ "$(timedatectl show -p NTP --value 2>/dev/null)" = yes ]; then keeper=timesyncd; fi
  if [ -n "$keeper" ] && is_unsynchronised "$keeper"; then keeper=; fi
}

# --- end of this part ---
leave_kept_clock() {
  clock_keeper
  if [ -n "$keeper" ]; then
    printf 'khumbu-station: the clock is kept by %s\n' "$keeper" >&2
    exit 75
  fi
}

# SECONDS.FRACTION
set_clock() {
  leave_kept_clock
  date -u -s "@$1" >/dev/null 2>&1 || date -u -s "@${1%%.*}" >/dev/null
}

# MICROSECONDS, signed: the kernel does it, 500 ppm fast or slow, and ends by itself (ADJ_OFFSET_SINGLESHOT). Of adjtimex
# there are two: -o of busybox is --singleshot of Debian, whose own -o is something else.
slew_clock() {
  leave_kept_clock
  if adjtimex --help 2>&1 | grep -q -e --singleshot; then
    adjtimex --singleshot "$1" >/dev/null || exit 69
  else
    busybox adjtimex -q -o "$1" >/dev/null || exit 69
  fi
}

prepare() {
  there=0
  [ ! -f "$state/layout" ] || read -r there <"$state/layout"
  [ "$there" -le "$LAYOUT" ] || fail "the state folder has layout $there, written by a newer Khumbu"
  [ "$there" = "$LAYOUT" ] && return
  for each in locks asks runs effects retired installs images; do
    mkdir -p "$state/$each" || fail "the state folder $state cannot be written"
  done
  echo "$LAYOUT" | store "$state/layout" || fail "the state folder $state cannot be written"
}

# NAMES...: those that are no commands here.
missing() {
  for each in "$@"; do
    command -v "$each" >/dev/null 2>&1 || printf '%s\n' "$each"
  done
}

# NONCE: end what `run` began under this name, or is about to begin.
end_run() {
  : >"$state/runs/$1.end"
  end_group "$state/runs/$1"
}

verb=$1
state=$2
words=$3
shift 3
prepare
find_boot
if [ "$verb" = run-effect ]; then
  nonce=$1
  if ! write_me $$ >"$state/asks/$nonce/.runner"; then
    # A name takes no room: whoever waits is to hear of it at once.
    printf '' >"$state/asks/$nonce/answer"
    fail 'the state folder cannot be written'
  fi
  set --
  while IFS= read -r word; do set -- "$@" "$word"; done <"$state/asks/$nonce/boot-id"
  ask_boot "$#" "$@"
  run_effect "$nonce"
  exit 0
fi
boot_words=
case $verb in
start | observe-effect | observe | retire)
  ask_boot "$words" "$@"
  [ "$words" = 0 ] || boot_words=$(printf '%s\n' "$@" | head -n "$words")
  [ -z "$boot_words" ] || boot_words="$boot_words
"
  ;;
esac
shift "$words"
case $verb in
start) start "$@" ;;
observe-effect) observe_effect "$@" ;;
observe) observe "$@" ;;
retire) retire "$@" ;;
put) put "$@" ;;
run-command) run_command "$@" ;;
run)
  limited "$@"
  exit $?
  ;;
end-run) end_run "$@" ;;
set-clock) set_clock "$@" ;;
slew-clock) slew_clock "$@" ;;
missing) missing "$@" ;;
*) fail "there is no verb $verb" ;;
esac
