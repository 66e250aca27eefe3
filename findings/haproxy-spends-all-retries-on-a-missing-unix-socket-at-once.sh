#!/bin/bash
# HAProxy 2.6.12 waits between attempts to connect to a server that refuses (its manual: a turn-around timer of the smaller of one second and
# `timeout connect` before a retry on the same server, so that one which is being restarted is not asked at once). For a server at an address
# that holds: `retries 3` bridge three seconds. For one at a unix socket that is not there yet, as that of a process that is started again, the
# same four attempts are over within milliseconds, and the client has its 503.
#
# Needs Debian 12 on amd64, its package archive, and curl. Makes a temporary folder, starts one process there, and ends it.
set -euo pipefail
work=$(mktemp -d)
trap '[ -z "${proxy:-}" ] || kill "$proxy" 2>/dev/null; rm -rf "$work"' EXIT
cd "$work"
chmod 755 "$work"
apt-get -qq download haproxy=2.6.12-1+deb12u4 liblua5.3-0=5.3.6-2 libpcre2-8-0=10.42-1+deb12u2 \
  libopentracing-c-wrapper0=1.1.3-3+b1 libopentracing1=1.6.0-4 2>/dev/null
for package in *.deb; do dpkg-deb -x "$package" root; done
export LD_LIBRARY_PATH="$work/root/usr/lib/x86_64-linux-gnu"
haproxy="$work/root/usr/sbin/haproxy"
"$haproxy" -v | sed -n 1p

# A port of this machine's own loopback at which nobody listens.
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat > proxy.cfg <<EOF
defaults
  mode http
  timeout connect 2s
  timeout client 10s
  timeout server 10s
  retries 3
frontend front
  bind unix@$work/front.sock
  use_backend address if { path /address }
  default_backend socket
backend address
  server one 127.0.0.1:$port
backend socket
  server one unix@$work/nobody.sock
EOF
"$haproxy" -db -f proxy.cfg 2>/dev/null &
proxy=$!
for _ in $(seq 100); do [ -S front.sock ] && break; sleep 0.05; done
ask() { curl -s -o /dev/null -w '%{http_code} %{time_total}' --unix-socket "$work/front.sock" "http://proxy/$1"; }
address=$(ask address)
socket=$(ask socket)
echo "a server at an address that refuses:     $address s"
echo "a server at a unix socket that is not:   $socket s"
python3 - "$address" "$socket" <<'EOF'
import sys
(code, slow), (other, quick) = (text.split() for text in sys.argv[1:])
sys.exit(0 if code == other == '503' and float(slow) > 2.5 and float(quick) < 0.5 else 1)
EOF
