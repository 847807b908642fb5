#!/bin/sh
# Bring up an interface by NetworkManager, under a checkpoint of its own: unless someone who reaches the station through what
# has come of it says that it stays, NetworkManager takes it all back, by itself. POSIX sh; needs nmcli and busctl.
#
#   khumbu-network connect INTERFACE ROLLBACK_S PREFIX...   with the request, a line of JSON, on standard input
#   khumbu-network keep CHECKPOINT - PREFIX...
#
# PREFIX is what nmcli and busctl are called by, as sudo; it may be empty.
set -u
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH

NM=org.freedesktop.NetworkManager
# What is left to say that it stays, once the interface is up.
KEEP_S=10

fail() {
  printf 'khumbu-network: %s\n' "$1" >&2
  exit 1
}

verb=$1
value=$2
rollback_s=$3
shift 3

if [ "$verb" = keep ]; then
  "$@" busctl --system call "$NM" /org/freedesktop/NetworkManager "$NM" CheckpointDestroy o "$value" >/dev/null
  exit
fi

read -r request || fail 'there is no request'
case $request in
*'"apn":'* | *'"vpn":'*) fail 'it is not told APN or VPN: those are for a command of the maker' ;;
esac

state=$("$@" nmcli -g GENERAL.STATE device show "$value") || fail "there is no interface $value, or no NetworkManager"
case $state in
100*) exit 0 ;;
10*) fail "NetworkManager does not manage $value" ;;
esac
device=$("$@" nmcli -g GENERAL.DBUS-PATH device show "$value") || fail "there is no interface $value"

# Flag 2: a connection that is made anew goes with it. It outlives who has made it.
answer=$("$@" busctl --system call "$NM" /org/freedesktop/NetworkManager "$NM" \
  CheckpointCreate aouu 1 "$device" "$rollback_s" 2) || fail 'there is no way back: nothing was changed'
checkpoint=${answer#o \"}
checkpoint=${checkpoint%\"}

code=0
"$@" nmcli --wait "$((rollback_s - KEEP_S))" device connect "$value" >/dev/null || code=$?
state=$("$@" nmcli -g GENERAL.STATE device show "$value")
case $code$state in
0100*) printf '{"checkpoint": "%s"}\n' "$checkpoint" ;;
*)
  "$@" busctl --system call "$NM" /org/freedesktop/NetworkManager "$NM" CheckpointRollback o "$checkpoint" >/dev/null
  fail "$value did not come up (state $state); it was taken back"
  ;;
esac
