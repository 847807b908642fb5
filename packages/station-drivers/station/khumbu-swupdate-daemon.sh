# shellcheck shell=sh disable=SC2034,SC2154 # the middle of a file: khumbu-swupdate.sh stands around it
# --- The daemon --------------------------------------------------------------------------------------------------------
# PATH: the inode of the socket that somebody listens on, in $inode. A file without a listener was left by a SIGKILL.
listens() {
  inode=
  while read -r _ _ _ flags _ _ number path; do
    if [ "$path" = "$1" ] && [ "$flags" = 00010000 ]; then inode=$number; fi
  done </proc/net/unix
  [ -n "$inode" ]
}

# Until 2025.12 in TMPDIR of the daemon, from 2026.05 on in /run/swupdate: in $socket and $inode.
find_socket() {
  if [ -n "$control_socket" ]; then
    socket=$control_socket
    listens "$socket"
    return
  fi
  for socket in "${TMPDIR:-/tmp}/sockinstctrl" /run/swupdate/sockinstctrl /tmp/sockinstctrl; do
    listens "$socket" && return 0
  done
  return 1
}

# SOCKET SECONDS: in the place of this shell: standard input goes to it, what comes is printed, until the other side ends.
through() {
  exec 2>/dev/null
  if command -v perl >/dev/null 2>&1; then
    # shellcheck disable=SC2016
    exec perl -MSocket -e '$SIG{PIPE}="IGNORE"; alarm($ARGV[1]); socket(S,AF_UNIX,SOCK_STREAM,0) && connect(S,sockaddr_un($ARGV[0])) or exit 7;
      $/=undef; syswrite(S,<STDIN>); shutdown(S,1); while(sysread(S,$b,65536)){syswrite(STDOUT,$b) or exit}' "$1" "$2"
  elif command -v python3 >/dev/null 2>&1; then
    exec python3 -c 'import os,signal,socket,sys
signal.alarm(int(sys.argv[2])); s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(sys.stdin.buffer.read()); s.shutdown(1)
while True:
  try: b=s.recv(65536)
  except ConnectionResetError: break
  if not b: break
  os.write(1,b)' "$1" "$2"
  else
    exec socat -t "$2" -T "$2" - "UNIX-CONNECT:$1"
  fi
}

can_ask() {
  for each in perl python3 socat; do
    command -v "$each" >/dev/null 2>&1 && return 0
  done
  return 1
}

# A request for its status. Longer than any version's message: what is too short is dropped, what is left over is not read.
status_request() {
  printf '\001\040\005\024\003\000\000\000'
  head -c 8184 /dev/zero
}

# One request, in $current and $text. Each takes one line off the daemon's queue, and while one is left, $current is that
# line's. Nothing of it goes by way of a file: another call may ask in this moment, and the state folder may be full.
ask_status() {
  said=$(status_request | (through "$socket" 10) | {
    dd bs=1 count=12 2>/dev/null | od -An -v -t d4
    tail -c +9 | tr '\000' '\n' | sed -n 1p
  })
  # shellcheck disable=SC2046
  set -- $(printf '%s\n' "$said" | head -n 1)
  [ "$#" = 3 ] && [ "$1" = 335880193 ] && [ "$2" = 1 ] || return 1
  current=$3
  text=$(printf '%s\n' "$said" | sed -n 2p)
}

# What is left in the queue of the daemon is taken in. 0: it is idle, 75 at work, 1 it does not answer.
drain() {
  find_socket || return 1
  asked=0
  while [ "$asked" -lt 400 ]; do
    asked=$((asked + 1))
    ask_status || return 1
    if [ -z "$text" ]; then
      [ "$current" = 0 ] || return 75
      return 0
    fi
    case $current in 4) note_error "$text" ;; *) note "$text" ;; esac
  done
  return 75
}

# 0: nothing is installed at this moment, 75 something is, 1 not known.
ask_idle() {
  if [ -n "$program" ]; then
    # It listens as long as it installs.
    ! find_socket || return 75
    return 0
  fi
  drain
}

# SECONDS [GENERATION]: until it is idle; 1 when it did not come back, or a later install has begun.
await_idle() {
  tries=0
  while [ "$tries" -lt "$1" ]; do
    [ -z "${2-}" ] || has_generation "$2" || return 1
    ask_idle && return 0
    [ $? = 75 ] || tries=$((tries + 1))
    sleep 1
  done
  return 1
}

# --- What SWUpdate says -----------------------------------------------------------------------------------------------
# Held by the shell, for a full state folder would lose it. `said_...` is `yes` once it was said.
forget_notes() {
  errors= error_count=0 last=
  said_success= said_skipped= said_version= said_much= said_refused= said_cut=
}

note_error() {
  error=${1#*ERROR : }
  case $error in *'SWUpdate *failed*'*) return ;; esac
  error_count=$((error_count + 1))
  [ "$error_count" -gt 20 ] || errors=$errors$error$newline
}

note() {
  case $1 in
  *'SWUPDATE successful !'*) said_success=yes ;;
  *'already installed, skipping'*) said_skipped=yes ;;
  *'[get_common_fields] : Version '*) said_version=${1#*: Version } ;;
  *'[network_initializer]'*) said_much=yes ;;
  esac
}

# What is heard from here on is nothing to the install that began last.
leave_notes() {
  note_error() { :; }
  note() { :; }
}

# What is said on standard input becomes notes, and these are printed, a line each, for `note_again` in another shell.
take_in() {
  forget_notes
  while IFS= read -r line || [ -n "$line" ]; do
    last=$line
    case $line in
    'Status: 4 message: '*) note_error "${line#Status: 4 message: }" ;;
    '[ERROR] : SWUPDATE failed ['*) note_error "${line#*] : * failed *] }" ;;
    'Error: '* | 'Unable to open'*) note_error "$line" ;;
    'swupdate_async_start returns'*) said_refused=yes ;;
    'swupdate_image_write failed'*) said_cut=yes ;;
    *) note "$line" ;;
    esac
    line=
  done
  printf '%s\n' "last $(printf '%s' "$last" | tr -d '[:cntrl:]' | head -c 1000)" "version $said_version" \
    "success $said_success" "skipped $said_skipped" "much $said_much" "refused $said_refused" "cut $said_cut"
  printf '%s' "$errors" | sed 's/^/error /'
}

note_again() {
  case $1 in
  'code '*) code=${1#code } ;;
  'last '*) last=${1#last } ;;
  'version '*) said_version=${1#version } ;;
  'success '*) said_success=${1#success } ;;
  'skipped '*) said_skipped=${1#skipped } ;;
  'much '*) said_much=${1#much } ;;
  'refused '*) said_refused=${1#refused } ;;
  'cut '*) said_cut=${1#cut } ;;
  'error '*) note_error "${1#error }" ;;
  esac
}

# The bar alone, from the messages on standard input: each of 2416 bytes is 151 lines of 16. They look otherwise from 2023.12
# on: nothing is shown then.
show_progress() {
  od -An -v -t u4 | {
    shown=
    at=0
    while read -r first second third fourth; do
      at=$((at + 1))
      case $at in
      1) [ "$first" = 0 ] && [ "$second" -le 8 ] || exit 0 ;;
      2) steps=$third step=$fourth ;;
      3)
        if [ "$steps" -gt 0 ] && [ "$step" -gt 0 ] && [ "$step" -le "$steps" ] && [ "$first" -le 100 ]; then
          percent=$((((step - 1) * 100 + first) / steps))
          [ "$percent" = "$shown" ] || printf '{"progress": %s}\n' "$percent"
          shown=$percent
        fi
        ;;
      151) at=0 ;;
      esac
    done
  }
}

# Until $watcher is ended.
watch_progress() {
  watcher=
  : "${progress_socket:=${socket%/*}/swupdateprog}"
  listens "$progress_socket" || return 0
  rm -f "$state/progress.pipe"
  mkfifo "$state/progress.pipe" || return 0
  show_progress <"$state/progress.pipe" &
  (through "$progress_socket" 86400 </dev/null >"$state/progress.pipe") &
  watcher=$!
}
