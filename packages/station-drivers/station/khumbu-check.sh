#!/bin/sh
# Looks at a charging station and changes nothing there: no file is written, also not a temporary one. A worker hands the whole
# text to `/bin/sh -c`. POSIX sh. Prints sections: `@name length`, the bytes, a line end.
#
#   STATE_DIR, then for each thing to look at:
#   plain N ARGV...           whether its program is there and may be run
#   sudo N ARGV...            whether sudo lets it be run without a password; ARGV is what stands behind `sudo`
#   ask LIMIT_S N ARGV...     what a command that changes nothing prints
#   file N PATHS...           the first of these files that is there
set -u
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH

say() { printf "@%s %s\n%s\n" "$1" "${#2}" "$2"; }

# PID LIMIT_S: ends the group of a process when its time is over. It looks every second whether there is still something to end.
watch() {
  left=$2
  while [ "$left" -gt 0 ]; do
    sleep 1
    kill -0 "$1" || exit 0
    left=$((left - 1))
  done
  kill -TERM "-$1"
  sleep 1
  kill -KILL "-$1"
}

# LIMIT_S ARGV...
limited() {
  limit=$1
  shift
  setsid "$@" </dev/null &
  child=$!
  watch "$child" "$limit" </dev/null >/dev/null 2>&1 &
  watcher=$!
  wait "$child"
  code=$?
  kill "$watcher" 2>/dev/null
  wait "$watcher" 2>/dev/null
  return "$code"
}

# LIMIT_S ARGV...: sections out and err. The last line of out is the exit code; without one there was too much.
ask() {
  exec 5>&1
  err=$({
    out=$({
      limited "$@" 5>&-
      printf "\n%s" "$?"
    } | head -c 65536)
    say out "$out" >&5
  } 2>&1 | head -c 4096)
  say err "$err"
}

# ARGV...: missing, denied PATH, found PATH
plain() {
  path=$(command -v "$1") || path=
  case $path in
  "") say program missing ;;
  /*) if [ -f "$path" ] && [ -x "$path" ]; then say program "found $path"; else say program "denied $path"; fi ;;
  *) say program "found $path" ;;
  esac
}

# ARGV...: what sudo says when it is asked whether it would. It runs nothing.
privileged() {
  if ! command -v sudo >/dev/null 2>&1; then
    say sudo "127 sudo is not there"
    return
  fi
  answer=$(sudo -n -l "$@" 2>&1 </dev/null) && code=0 || code=$?
  say sudo "$code $(printf "%s" "$answer" | tail -n 1 | head -c 1000)"
}

# PATHS...
first_file() {
  for each in "$@"; do
    [ -f "$each" ] || continue
    if [ -r "$each" ]; then say file "$each
$(head -c 262144 "$each" | tr -d "\000")"; else say file "unreadable $each"; fi
    return
  done
  say file ""
}

# The folder itself, or the nearest one above it that is there.
nearest() {
  at=$1
  until [ -d "$at" ]; do
    at=${at%/*}
    [ -n "$at" ] || at=/
  done
  printf "%s" "$at"
}

# Whether the files can be written is asked without writing: a file system that is mounted read-only says no as well.
state_of() {
  at=$(nearest "$1")
  if [ ! -w "$at" ] || [ ! -x "$at" ]; then echo "denied $at"; elif [ "$at" = "$1" ]; then echo "there $at"; else echo "to-be-made $at"; fi
}

# In the words of the station program: the effect that was begun last, if its process runs.
effect_under_way() {
  read -r active <"$1/active" || return 0
  [ ! -e "$1/effects/$active/result" ] || return 0
  read -r pid ticks boot _ <"$1/effects/$active/begun" || return 0
  [ "$boot" = "$kernel_boot" ] || return 0
  IFS= read -r stat <"/proc/$pid/stat" || return 0
  # shellcheck disable=SC2086
  set -- ${stat##*) }
  [ "$1" = Z ] || [ "${20}" != "$ticks" ] || echo "$active"
}

# @CLOCK@: who keeps the clock, as the station program finds it.

# The last word of logind about what a session leaves behind, and whether this user may keep processes.
ends_sessions() {
  cat /etc/systemd/logind.conf /etc/systemd/logind.conf.d/*.conf | sed -n "s/^KillUserProcesses=//p" | tail -n 1
}

missing_tools() {
  for each in cat cp cut date dd df find grep head id kill ln ls mkdir mkfifo mv rm sed setsid sha256sum sleep sync tail tr wc; do
    command -v "$each" >/dev/null || printf "%s " "$each"
  done
}

facts() {
  { read -r kernel_boot </proc/sys/kernel/random/boot_id; } || kernel_boot=
  echo "boot=$kernel_boot"
  echo "uid=$(id -u)"
  echo "user=$(id -un)"
  echo "tools=$(missing_tools)"
  echo "state=$(state_of "$1")"
  echo "layout=$(head -n 1 "$1/layout" | head -c 20)"
  echo "space=$(df -Pk "$(nearest "$1")" | tail -n 1 | sed "s/^.* \([0-9][0-9]*\)  *[0-9]*%.*/\1/")"
  echo "effect=$(effect_under_way "$1")"
  keeper=
  clock_keeper
  echo "keeper=$keeper"
  echo "sudo=$(sudo -V | sed -n "s/^Sudo version //p" | head -n 1)"
  if [ -d /run/systemd/system ]; then
    echo "systemd=$(systemctl --version | head -n 1)"
    echo "ends_sessions=$(ends_sessions)"
    [ ! -e "/var/lib/systemd/linger/$(id -un)" ] || echo "linger=yes"
    echo "may_reboot=$(busctl call org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager CanReboot)"
  fi
}

state_dir=$1
shift
say facts "$(facts "$state_dir" 2>/dev/null)"
while [ "$#" -gt 0 ]; do
  kind=$1
  shift
  limit=0
  if [ "$kind" = ask ]; then
    limit=$1
    shift
  fi
  # In a subshell, so that the words of one are not those of the others.
  (
    count=$1
    shift
    rest=$(($# - count))
    turn=$count
    while [ "$turn" -gt 0 ]; do
      word=$1
      shift
      set -- "$@" "$word"
      turn=$((turn - 1))
    done
    shift "$rest"
    case $kind in
    plain) plain "$@" ;;
    sudo) privileged "$@" ;;
    ask) ask "$limit" "$@" ;;
    file) first_file "$@" ;;
    esac
  )
  shift "$(($1 + 1))"
done
