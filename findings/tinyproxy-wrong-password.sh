#!/usr/bin/env bash
# tinyproxy 1.11.1 answers a wrong proxy password with 401 in place of 407.
#
# Seen: without credentials 407 and Proxy-Authenticate, as RFC 9110 15.5.8 says; with a wrong password "401 Unauthorized" and
# WWW-Authenticate, the words of an origin. A client of plain http through the proxy cannot tell it from the origin's own 401: it
# sends the origin's credentials to a proxy that asked for its own, or tells a person to mend the wrong password. Only the
# `Server: tinyproxy/...` header or a CONNECT tells them apart. Needs curl, apt-get download and dpkg.
set -euo pipefail
version=1.11.1-2.1+deb12u1
work=$(mktemp -d)
proxy=
trap '[ -z "$proxy" ] || kill "$proxy"; rm -rf "$work"' EXIT
cd "$work"
chmod 755 .
apt-get download -qq "tinyproxy-bin=$version" 2>/dev/null
dpkg -x tinyproxy-bin_*.deb root
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
printf 'Port %s\nListen 127.0.0.1\nTimeout 10\nBasicAuth depot right\n' "$port" > proxy.conf
./root/usr/bin/tinyproxy -d -c proxy.conf > log 2>&1 &
proxy=$!
ask() { # credentials, curl's options
  local who=$1
  shift
  curl -s -o head -D - --max-time 10 --retry 20 --retry-connrefused --retry-delay 1 -x "http://$who$([ -z "$who" ] || echo @)127.0.0.1:$port" "$@" |
    tr -d '\r' | grep -iE '^(HTTP|Proxy-Authenticate|WWW-Authenticate)' | head -2 | paste -sd ' '
}
none=$(ask '' http://127.0.0.1:9/ || true)
wrong=$(ask depot:wrong http://127.0.0.1:9/ || true)
printf 'no credentials:  %s\nwrong password:  %s\n' "$none" "$wrong"
grep -qE '^HTTP/1\.[01] 407 .*Proxy-Authenticate' <<<"$none" || { echo 'changed: no credentials'; exit 1; }
grep -qE '^HTTP/1\.[01] 401 .*WWW-Authenticate' <<<"$wrong" || { echo 'changed: wrong password'; exit 1; }
echo "as described: tinyproxy $version"
