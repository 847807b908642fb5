# shellcheck shell=sh disable=SC2034,SC2154 # the middle of a file: khumbu-swupdate.sh stands around it
# --- What an image is --------------------------------------------------------------------------------------------------
# IMAGE: its sw-description, which comes first in it (cpio, newc or crc), in $description; empty where it cannot be read.
read_description() {
  description=
  header=$(head -c 110 "$1" | tr -d '\000')
  case $header in 07070[12]*) ;; *) return ;; esac
  size=$(printf '%s' "$header" | cut -c 55-62)
  name=$(printf '%s' "$header" | cut -c 95-102)
  case $size$name in *[!0-9A-Fa-f]*) return ;; esac
  size=$((0x$size))
  start=$(((110 + 0x$name + 3) / 4 * 4))
  [ "$size" -le 1048576 ] || return
  description=$(tail -c "+$((start + 1))" "$1" | head -c "$size" | tr -d '\000')
}

# The first `version` in it, of libconfig or JSON.
image_version() {
  # shellcheck disable=SC2020 # busybox does not fill up the second set
  printf '%s\n' "$description" | tr '{,;' '\n\n\n' | sed -n 's/^[[:space:]]*"\{0,1\}version"\{0,1\}[[:space:]]*[=:][[:space:]]*"\([^"]*\)".*/\1/p' | head -n 1
}

may_skip() { printf '%s\n' "$description" | grep -q 'install-if-\(different\|higher\)"\{0,1\}[[:space:]]*[=:][[:space:]]*true'; }
is_streamed() { printf '%s\n' "$description" | grep -q 'installed-directly"\{0,1\}[[:space:]]*[=:][[:space:]]*true'; }

# --- Versions: SWUpdate reverses 1.9 and 1.10 behind a `v`, and drops a fifth number -------------------------------------
# A B: -1, 0 or 1; nothing where they cannot be compared. As semantic versions, with any count of numbers.
compare() (
  if [ -z "$1" ] || [ -z "$2" ]; then return; fi
  left=${1#[vV]}
  right=${2#[vV]}
  left=${left%%+*}
  right=${right%%+*}
  by_numbers=$(compare_parts "${left%%-*}" "${right%%-*}" core)
  if [ "$by_numbers" != 0 ]; then
    printf '%s' "$by_numbers"
    return
  fi
  case $left in *-*) left=${left#*-} ;; *) left= ;; esac
  case $right in *-*) right=${right#*-} ;; *) right= ;; esac
  if [ "$left" = "$right" ]; then
    printf 0
  elif [ -z "$left" ]; then
    printf 1
  elif [ -z "$right" ]; then
    printf '%s' -1
  else
    compare_parts "$left" "$right" suffix
  fi
)

compare_parts() (
  left=$1. right=$2. kind=$3
  while [ -n "$left$right" ]; do
    one=${left%%.*}
    two=${right%%.*}
    left=${left#*.}
    right=${right#*.}
    if [ "$kind" = core ]; then
      one=${one:-0}
      two=${two:-0}
    fi
    case $one$two in *[!0-9]*) is_number=no ;; *) is_number=yes ;; esac
    [ "${#one}" -le 18 ] && [ "${#two}" -le 18 ] || is_number=no
    if [ "$kind" = core ] && [ "$is_number" = no ]; then return; fi
    [ "$one" != "$two" ] || continue
    if [ "$is_number" = yes ] && [ -n "$one" ] && [ -n "$two" ]; then
      while [ "${one#0}" != "$one" ]; do one=${one#0}; done
      while [ "${two#0}" != "$two" ]; do two=${two#0}; done
      [ "${one:-0}" != "${two:-0}" ] || continue
      [ "${one:-0}" -lt "${two:-0}" ] && printf '%s' -1 || printf 1
      return
    fi
    # Fewer parts come first, then numbers, then words by their bytes.
    [ -n "$one" ] || { printf '%s' -1 && return; }
    [ -n "$two" ] || { printf 1 && return; }
    case $one in *[!0-9]*) ;; *) printf '%s' -1 && return ;; esac
    case $two in *[!0-9]*) ;; *) printf 1 && return ;; esac
    [ "$(printf '%s\n%s\n' "$one" "$two" | sort | head -n 1)" = "$one" ] && printf '%s' -1 || printf 1
    return
  done
  printf 0
)
