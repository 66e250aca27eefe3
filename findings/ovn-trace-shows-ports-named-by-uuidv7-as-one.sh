#!/bin/bash
# ovn-trace 23.03.1 shortens whatever looks like a UUID in its output to six digits. Clouds name logical ports by UUIDs, and the first
# six digits of a time-ordered UUID (RFC 9562, version 7) count units of 2^24 ms: two ports that were made within the same four and a
# half hours print as one. A packet that goes from one guest to another reads as one that comes back to its sender.
# --no-friendly-names prints them whole.
#
# Needs Debian 12 on amd64 and its package archive. Makes a temporary folder, starts three processes there, and ends them.
set -euo pipefail
work=$(mktemp -d)
trap 'for f in "$work"/*.pid; do [ -e "$f" ] && kill "$(cat "$f")" 2>/dev/null; done; rm -rf "$work"' EXIT
cd "$work"
apt-get -qq download ovn-common=23.03.1-1~deb12u2 ovn-central=23.03.1-1~deb12u2 openvswitch-common=3.1.0-2+deb12u1 2>/dev/null
for package in *.deb; do dpkg-deb -x "$package" root; done
export PATH="$work/root/usr/bin:$work/root/usr/sbin:$PATH"
for db in nb sb; do
  ovsdb-tool create $db.db "root/usr/share/ovn/ovn-$db.ovsschema"
  ovsdb-server --detach --no-chdir --pidfile="$work/$db.pid" --unixctl="$work/$db.ctl" --remote="punix:$work/$db.sock" \
    --log-file="$work/$db.log" -vconsole:off $db.db
done
ovn-northd --detach --no-chdir --pidfile="$work/northd.pid" --unixctl="$work/northd.ctl" --log-file="$work/northd.log" \
  -vconsole:off --ovnnb-db="unix:$work/nb.sock" --ovnsb-db="unix:$work/sb.sock"
nb() { ovn-nbctl --db="unix:$work/nb.sock" "$@"; }
sb() { ovn-sbctl --db="unix:$work/sb.sock" "$@"; }
nb init
sb init
ovn-trace --version | head -1

# Two UUIDs of version 7, a quarter of a second apart.
from=01a22152-2440-7000-8000-000000000001
to=01a22152-2540-7000-9000-000000000002
nb ls-add net -- lsp-add net $from -- lsp-set-addresses $from '02:00:00:00:00:0a' \
  -- lsp-add net $to -- lsp-set-addresses $to '02:00:00:00:00:0b'
nb --wait=sb sync
sb chassis-add host geneve 198.51.100.1
sb lsp-bind $from host
sb lsp-bind $to host
packet="inport == \"$from\" && eth.src == 02:00:00:00:00:0a && eth.dst == 02:00:00:00:00:0b"
egress() { ovn-trace --db="unix:$work/sb.sock" "$@" net "$packet" | sed -n 's/^egress//p'; }
friendly=$(egress)
whole=$(egress --no-friendly-names)
echo "as it is:             $friendly"
echo "--no-friendly-names:  $whole"
case "$friendly" in *'inport="01a221", outport="01a221"'*) ;; *) exit 1 ;; esac
case "$whole" in *"inport=\"$from\", outport=\"$to\""*) ;; *) exit 1 ;; esac
