#!/bin/sh
# What the scripts for update tools have in common: it stands before each of them in the file that is put to the station.
# They are called with an argument vector:
#
#   khumbu-TOOL VERB STATE_DIR N PROGRAM... N BOOT_ID... N HEALTH... ARGUMENTS...
#
# and speak as profile `command`: exit 0 done, 65 the image is unfit, 75 busy, else failed; lines of JSON on standard output.
set -u
umask 077
LC_ALL=C
export LC_ALL

newline='
'
# N WORDS...: the first N of them, by lines, in $taken. The caller shifts by N + 1.
take() {
  count=$1
  shift
  taken=
  while [ "$count" -gt 0 ]; do
    taken=$taken$1$newline
    shift
    count=$((count - 1))
  done
}

# WORDS MORE...: a command of words that are lines; no word is read as shell code or as a pattern.
words() (
  set -f
  list=$1
  shift
  IFS=$newline
  # shellcheck disable=SC2086
  exec $list "$@"
)

flush() { sync "$1" 2>/dev/null || sync; }

# FILE: standard input becomes its content, durably: whole or not at all. Several calls may do so at once: each has a temporary
# name of its own.
keep() {
  if cat >"$1.$$.part" && flush "$1.$$.part" && mv "$1.$$.part" "$1"; then
    flush "${1%/*}"
  else
    rm -f "$1.$$.part"
    return 1
  fi
}

# FOLDER: what calls that were killed left behind.
forget_parts() { find "$1" -name '*.part' -mtime +1 -exec rm -f {} + 2>/dev/null; }

separator=$(printf '\036')
# ARGV...: run it; what it prints is in $out, what it says of errors in $err. Exits as it does. Not by way of files: other calls may
# ask the same in this moment.
capture() {
  told=$(
    {
      err=$("$@" 2>&1 >&3 3>&-)
      printf '%s%s%s%s' "$separator" "$?" "$separator" "$err"
    } 3>&1
  )
  out=$(printf '%s' "${told%%"$separator"*}")
  told=${told#*"$separator"}
  err=${told#*"$separator"}
  return "${told%%"$separator"*}"
}

last_line() { printf '%s\n' "$1" | tail -n 1; }

# FILE TEXT: the same for what must not be lost, however long there is no room for it.
keep_at_last() {
  until printf '%s\n' "$2" | keep "$1" 2>/dev/null; do
    [ -d "${1%/*}" ] || return 1
    sleep 1
  done
}

# TEXT: a word that is compared, between quotes of JSON.
json_text() { printf '%s' "$1" | tr -d '\042\134' | tr -d '[:cntrl:]'; }
# TEXT: the same for people, who see it without the secrets in it: those are known by their quotes, too.
json_words() { printf '%s' "$1" | tr -d '[:cntrl:]' | sed 's/["\\]/\\&/g'; }
message() { printf '{"message": "%s"}\n' "$(json_words "$1")"; }

boot_id() {
  if [ -n "$boot_program" ]; then words "$boot_program"; else cat /proc/sys/kernel/random/boot_id; fi
}

is_healthy() { [ -z "$health_program" ] || words "$health_program" >/dev/null 2>&1; }

verb=$1
state_dir=$2
shift 2
take "$@"
program=$taken
shift $(($1 + 1))
take "$@"
boot_program=$taken
shift $(($1 + 1))
take "$@"
health_program=$taken
shift $(($1 + 1))
