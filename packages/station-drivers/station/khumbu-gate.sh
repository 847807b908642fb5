#!/bin/sh
# The gate of a forced command for the charging station @STATION@. It lets a key do what Khumbu does here, and nothing else. It is
# made from the station's entry by `npm run station-gate` and counts for that entry and that version of Khumbu.
#
# Put it to the station as /usr/local/sbin/khumbu-gate, owned by root, mode 0755, and name it in authorized_keys, a file that
# the station's user cannot write:
#
#   restrict,command="/usr/local/sbin/khumbu-gate" ssh-ed25519 AAAA... khumbu
#
# What comes is compared, whole, with the patterns below before any shell reads it.
set -uf
LC_ALL=C
export LC_ALL

patterns() {
  cat <<'KHUMBU_END'
@PATTERNS@
KHUMBU_END
}

refuse() {
  echo 'khumbu-gate: refused' >&2
  exit 126
}

command=${SSH_ORIGINAL_COMMAND-}
case $command in
*'
'*)
  # The look before use: a text of many lines.
  sum=$(printf '%s' "$command" | sha256sum)
  [ "${sum%% *}" = '@LOOK@' ] || refuse
  ;;
*)
  printf '%s\n' "$command" | grep -E -x -q -e "$(patterns)" || refuse
  ;;
esac
unset SSH_ORIGINAL_COMMAND
exec /bin/sh -c "$command"
