#!/bin/sh
# Lists and streams the logs of a charging station, and changes nothing there. It judges little: what of it is in a window of
# times is for the worker. POSIX sh; needs stat, readlink, head and Linux' /proc (busybox has them), for a journal journalctl; with
# awk less of a journal is sent.
#
#   list                            then for each source, in the order of the answer:
#     journal N ARGV...             ARGV is journalctl with what selects its records
#     files N GLOBS...              absolute patterns of paths
#   journal FIELDS ARGV...          streams boots
#   files GLOBS...                  streams files
#   newest-journal FIELDS ARGV...   the newest records, and ends
#   follow-journal FIELDS ARGV...   the newest records, and what is written from then on
#   newest-files GLOBS...           what stands in files behind given places, and ends
#   follow-files GLOBS...           that, what is written to them from then on, and files that come to be
#
# What is streamed is named on standard input: the first line is a boundary, each further one a boot or a file. An argument
# could come to be in the very logs that are read. Each is sent as `LF BOUNDARY begin NUMBER LF`, its bytes, and
# `LF BOUNDARY end NUMBER WORDS LF`. Paths are sent as they are, never read as code.
set -u
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
# A pattern is expanded, and nothing is split.
IFS=

MOST_FILES=5000
NEWEST=1000

say() { printf '@%s %s\n%s\n' "$1" "${#2}" "$2"; }

# --- Files ---------------------------------------------------------------------------------------------------------------
# GLOB: the folder above its first wildcard in $fixed, and in $base where links of it lead.
base_of() {
  fixed=${1%%[*?[]*}
  fixed=${fixed%/*}
  base=$(readlink -f "${fixed:-/}") || base=
  [ "$base" != / ] || base=
}

# PATH below $fixed: a file of its own, not one that a link below there brings in. Who may write there could name any file of the
# station.
is_inside() {
  [ -f "$1" ] || return 1
  real=$(
    readlink -f "$1"
    echo .
  )
  real=${real%??}
  [ "$real" = "$base${1#"$fixed"}" ]
}

# GLOBS...: a section for each file: DEVICE:INODE SIZE MODIFIED r|- PATH
list_files() {
  count=0
  for glob in "$@"; do
    base_of "$glob"
    # A folder that may not be looked into expands to nothing.
    if [ -d "${fixed:-/}" ] && { [ ! -r "${fixed:-/}" ] || [ ! -x "${fixed:-/}" ]; }; then say denied "$fixed"; fi
    for path in $glob; do
      [ -e "$path" ] || [ -L "$path" ] || continue
      [ ! -d "$path" ] || continue
      count=$((count + 1))
      if [ "$count" -gt "$MOST_FILES" ]; then
        say left "more than $MOST_FILES files"
        return
      fi
      # Of one without a wildcard the operator has named the very path.
      if [ "$path" != "$glob" ] && ! is_inside "$path"; then
        say left "link $path"
        continue
      fi
      may=-
      [ ! -r "$path" ] || may=r
      facts=$(stat -L -c '%d:%i %s %Y' "$path" 2>/dev/null) || continue
      [ ! -f "$path" ] || say file "$facts $may $path"
    done
  done
}

# FORMAT GLOBS...: of the regular files that there are now, also under names they get by rotation, what stat says.
facts_of() {
  format=$1
  shift
  globs=$#
  # shellcheck disable=SC2086
  for glob in "$@"; do set -- "$@" $glob $glob.* $glob-*; done
  shift "$globs"
  for path in "$@"; do
    shift
    [ ! -f "$path" ] || set -- "$@" "$path"
  done
  [ "$#" = 0 ] || stat -L -c "$format" "$@" 2>/dev/null
}

# NUMBER GLOBS...: the path of that number among them, in $path, and $glob.
path_of() {
  left=$1
  shift
  for glob in "$@"; do
    # shellcheck disable=SC2231
    for path in $glob $glob.* $glob-*; do
      [ -f "$path" ] || continue
      left=$((left - 1))
      [ "$left" -gt 0 ] || return 0
    done
  done
  return 1
}

# DEVICE:INODE GLOBS...: the file under the name that it has now, opened as 3.
open_file() {
  wanted=$1
  shift
  tries=0
  # A rotation may come between a look and the opening.
  while [ "$tries" -lt 3 ]; do
    tries=$((tries + 1))
    at=$(facts_of '%d:%i' "$@" | grep -n -x -F -e "$wanted" | head -n 1)
    [ -n "$at" ] || return 1
    path_of "${at%%:*}" "$@" || continue
    base_of "$glob"
    [ "$path" = "$glob" ] || is_inside "$path" || continue
    [ -r "$path" ] || return 2
    exec 3<"$path" || return 2
    [ "$(stat -L -c '%d:%i' /dev/fd/3 2>/dev/null)" != "$wanted" ] || return 0
    exec 3<&-
  done
  return 1
}

# SIZE HOW: the first bytes of 3, as a program says that unpacks them.
send_file() {
  case $2 in
  cat) head -c "$1" <&3 ;;
  zstd | xz | bzip2)
    command -v "$2" >/dev/null 2>&1 || return 127
    head -c "$1" <&3 | "$2" -dc 2>/dev/null
    ;;
  *) return 127 ;;
  esac
}

# GLOBS...: for each line DEVICE:INODE SIZE HOW of standard input. Ends with CODE SIZE NAME, or with vanished or denied.
stream_files() {
  number=0
  while IFS=' ' read -r inode size how; do
    number=$((number + 1))
    printf '\n%s begin %s\n' "$boundary" "$number"
    open_file "$inode" "$@"
    case $? in
    0)
      send_file "$size" "$how" </dev/null
      code=$?
      printf '\n%s end %s %s %s %s\n' "$boundary" "$number" "$code" "$(stat -L -c %s /dev/fd/3 2>/dev/null || echo 0)" \
        "$(printf '%s' "${path##*/}" | tr '\n' '?')"
      exec 3<&-
      ;;
    2) printf '\n%s end %s denied\n' "$boundary" "$number" ;;
    *) printf '\n%s end %s vanished\n' "$boundary" "$number" ;;
    esac
  done
}

# --- Files, as they are written ------------------------------------------------------------------------------------------
# PATH GLOBS...: it belongs to one of them, and no link brings it in.
is_followed() {
  wanted=$1
  shift
  for glob in "$@"; do
    # shellcheck disable=SC2254
    case $wanted in $glob | $glob.* | $glob-*) ;; *) continue ;; esac
    base_of "$glob"
    [ "$wanted" != "$glob" ] || return 0
    ! is_inside "$wanted" || return 0
  done
  return 1
}

# INODE: how far it has been read, in $offset; empty: it is not known. $known has lines ` INODE OFFSET`.
offset_of() {
  after=${known#*"
 $1 "}
  offset=
  [ "$after" = "$known" ] || offset=${after%%"
"*}
}

# INODE OFFSET
know() {
  offset_of "$1"
  if [ -z "$offset" ]; then
    known="$known
 $1 $2"
  else
    known="${known%%"
 $1 "*}
 $1 $2${known#*"
 $1 $offset"}"
  fi
}

# INODE SIZE PATH GLOBS...: what is new of it, as a part whose head is INODE OFFSET PATH.
send_news() {
  inode=$1
  size=$2
  path=$3
  shift 3
  offset_of "$inode"
  # A copy that a rotation has made.
  case $offset:$path in :*.gz | :*.xz | :*.zst | :*.bz2 | :*.[0-9] | :*.[0-9][0-9]) know "$inode" "$size" && return ;; esac
  # One that became shorter was emptied: what is in it is new.
  if [ -z "$offset" ] || [ "$offset" -gt "$size" ]; then from=0; else from=$offset; fi
  [ "$size" -gt "$from" ] || { know "$inode" "$size" && return; }
  is_followed "$path" "$@" && [ -r "$path" ] || return
  { exec 3<"$path"; } 2>/dev/null || return
  if [ "$(stat -L -c '%d:%i' /dev/fd/3 2>/dev/null)" = "$inode" ]; then
    number=$((number + 1))
    printf '\n%s begin %s %s %s %s\n' "$boundary" "$number" "$inode" "$from" "$path"
    # Whole blocks are passed over without being read.
    dd bs=4096 skip=$((from / 4096)) <&3 2>/dev/null | tail -c +$((from % 4096 + 1)) | head -c $((size - from))
    printf '\n%s end %s\n' "$boundary" "$number"
    know "$inode" "$size"
  fi
  exec 3<&-
}

# newest|follow GLOBS...: standard input has a line INODE OFFSET for each file that is known.
send_written() {
  how=$1
  shift
  known="
$(sed 's/^/ /')"
  number=0
  before=
  while :; do
    now=$(facts_of '%d:%i %s %n' "$@")
    if [ "$now" != "$before" ]; then
      while IFS=' ' read -r inode size path; do
        case $inode:$size in *[!0-9:]* | :* | *:) continue ;; esac
        [ -n "$path" ] && send_news "$inode" "$size" "$path" "$@" </dev/null
      done <<NOW
$now
NOW
      before=$now
    fi
    [ "$how" = follow ] || return 0
    # An empty part a second: where nobody reads any more, writing it ends us.
    number=$((number + 1))
    printf '\n%s begin %s\n\n%s end %s\n' "$boundary" "$number" "$boundary" "$number" || return
    sleep 1
  done
}

# --- The journal ---------------------------------------------------------------------------------------------------------
# ARGV...: how many journal files there are where it looks, and how many of them we may read.
journal_files() {
  folders=$(for word in "$@"; do case $word in --directory=*) printf '%s' "${word#--directory=}" ;; esac done)
  total=0
  open=0
  if [ -n "$folders" ]; then set -- "$folders"; else set -- /var/log/journal /run/log/journal; fi
  for folder in "$@"; do
    for path in "$folder"/*.journal "$folder"/*/*.journal; do
      [ -f "$path" ] || continue
      total=$((total + 1))
      [ ! -r "$path" ] || open=$((open + 1))
    done
  done
  echo "$total $open"
}

# The beginning of standard input as one line. It is read to its end: who writes it is not to be ended by that.
first_words() {
  head -c 2000 | tr '\n' ' '
  cat >/dev/null
}

# ARGV...: its boots, in no order, each with the heads of its first and last record; and what it complains of.
list_journal() {
  say files "$(journal_files "$@")"
  if ! command -v "$1" >/dev/null 2>&1; then
    say err 'command not found'
    return
  fi
  say err "$({ "$@" --field=_BOOT_ID </dev/null >/dev/null || printf 'ended with %s\n' "$?" >&2; } 2>&1 | first_words)"
  boots=$("$@" --field=_BOOT_ID </dev/null 2>/dev/null | head -n "$MOST_FILES")
  say known "$(printf '%s' "$boots" | grep -c .)"
  printf '%s\n' "$boots" | while read -r each; do
    [ -n "$each" ] || continue
    # Its number in the journal, and its times.
    first=$("$@" --output=export --output-fields=_BOOT_ID "_BOOT_ID=$each" </dev/null 2>/dev/null | head -n 3 | head -c 1000)
    [ -n "$first" ] || continue
    last=$("$@" --output=export --output-fields=_BOOT_ID --reverse --lines=1 "_BOOT_ID=$each" </dev/null 2>/dev/null |
      head -n 3 | head -c 1000)
    say boot "$each
$first
$last"
  done
}

# PROGRAM: whether it can be made to write more than a page at once. What runs another program, as sudo, forgets it; where the
# loader refuses it to this one, it says so and goes on.
writes_widely() {
  case ${1##*/} in journalctl) ;; *) return 1 ;; esac
  refusal=$(stdbuf -o65536 "$1" --version 2>&1 >/dev/null) && [ -z "$refusal" ]
}

# OLDEST LATEST FURTHEST: the lines of JSON between OLDEST and LATEST, and all of them from where the clock goes back by more than a second
# between OLDEST and FURTHEST: which of those count is for the worker. Inside a message a quote is escaped. No intervals in expressions:
# mawk has none.
pick() {
  if ! command -v awk >/dev/null 2>&1; then
    cat
    return
  fi
  awk -v "range=$1" '
    BEGIN { split(range, bound, " "); oldest = bound[1] + 0; latest = bound[2] + 0; furthest = bound[3] + 0 }
    function time(name) {
      if (!match($0, "\"" name "\" ?: ?\"[0-9]+\"")) return -1
      digits = substr($0, RSTART + length(name) + 2, RLENGTH - length(name) - 3)
      gsub(/[^0-9]/, "", digits)
      return digits + 0
    }
    all { print; next }
    {
      passed = time("__MONOTONIC_TIMESTAMP")
      now = time("__REALTIME_TIMESTAMP")
      steady = lastNow + passed - lastPassed
      isStep = held != "" && steady - now > 1000000 && steady >= oldest && steady <= furthest
      if (now < 0 || passed < 0 || isStep) {
        all = 1
        if (held != "" && !isSent) print held
        print
        next
      }
      isSent = now >= oldest && now <= latest
      if (isSent) print
      held = $0
      lastNow = now
      lastPassed = passed
    }'
}

# FIELDS ARGV...: the records of $boot, to 5: in the export format, or the lines of JSON that pick takes by the times of $range. journalctl writes
# pages of 4 KiB, and for each of them whoever reads is woken.
send_boot() {
  fields=$1
  shift
  if [ -z "$range" ] && [ "$wide" = yes ]; then
    stdbuf -o65536 "$@" --output=export "--output-fields=$fields" "_BOOT_ID=$boot" </dev/null >&5 ||
      printf 'ended with %s\n' "$?" >&2
  elif [ -z "$range" ]; then
    { "$@" --output=export "--output-fields=$fields" "_BOOT_ID=$boot" </dev/null || printf 'ended with %s\n' "$?" >&2; } |
      dd ibs=65536 obs=65536 2>/dev/null >&5
  else
    { "$@" --output=json --all "--output-fields=$fields" "_BOOT_ID=$boot" </dev/null || printf 'ended with %s\n' "$?" >&2; } |
      pick "$range" >&5
  fi
}

# FIELDS ARGV...: what journalctl says of the files of $boot now. It ends without a word, and as if all were well, where a file is
# cut short while it reads (systemd 252).
look_again() {
  shift
  "$@" --output=export --output-fields=_BOOT_ID "_BOOT_ID=$boot" </dev/null | head -n 1 >/dev/null
}

# FIELDS ARGV...: for each line BOOT, or BOOT OLDEST LATEST FURTHEST, of standard input; times are in microseconds since 1970. Ends with what journalctl complained of.
stream_journal() {
  number=0
  wide=no
  ! writes_widely "$2" </dev/null || wide=yes
  exec 5>&1
  while IFS=' ' read -r boot range; do
    number=$((number + 1))
    printf '\n%s begin %s\n' "$boundary" "$number"
    said=$({
      send_boot "$@"
      look_again "$@"
    } 2>&1 | first_words)
    printf '\n%s end %s %s\n' "$boundary" "$number" "$said"
  done
}

# The name of the zone of this clock; nothing: it has none that is known.
zone_name() {
  zone=${TZ:-}
  zone=${zone#:}
  if [ -z "$zone" ]; then
    zone=$(readlink -f /etc/localtime) || zone=
    case $zone in */zoneinfo/*) zone=${zone##*/zoneinfo/} ;; *) zone= ;; esac
    [ -n "$zone" ] || ! [ -r /etc/timezone ] || IFS= read -r zone </etc/timezone || [ -n "$zone" ] || zone=
  fi
  case $zone in *[!A-Za-z0-9_+/-]*) zone= ;; esac
  printf '%s' "$zone"
}

# ------------------------------------------------------------------------------------------------------------------------
verb=$1
shift
case $verb in
list)
  uptime=
  { IFS=' ' read -r uptime _ </proc/uptime; } 2>/dev/null
  { read -r boot </proc/sys/kernel/random/boot_id; } 2>/dev/null || boot=
  say now "$(date +%s) $(date +%z) ${uptime:-0} $boot $(zone_name)"
  while [ "$#" -gt 0 ]; do
    kind=$1
    count=$2
    shift 2
    say source "$kind"
    # In a subshell, so that the words of one are not those of the others.
    (
      rest=$(($# - count))
      turn=$count
      while [ "$turn" -gt 0 ]; do
        word=$1
        shift
        set -- "$@" "$word"
        turn=$((turn - 1))
      done
      shift "$rest"
      "list_$kind" "$@"
    )
    shift "$count"
  done
  ;;
journal | files)
  read -r boundary || exit 1
  "stream_$verb" "$@"
  ;;
newest-files | follow-files)
  read -r boundary || exit 1
  send_written "${verb%-files}" "$@"
  ;;
newest-journal | follow-journal)
  fields=$1
  shift
  [ "$verb" = newest-journal ] || set -- "$@" --follow
  # It ends by itself where nobody reads.
  exec "$@" "--lines=$NEWEST" --output=export "--output-fields=$fields" </dev/null
  ;;
*) exit 64 ;;
esac
