#!/bin/bash
# OVN 23.03.1: for any change of the northbound database ovn-northd makes the text of every logical flow anew, in one thread, and most of the time
# is not spent on the flows but in glibc's malloc and free of their hundred thousand strings (_int_malloc, malloc_consolidate, unlink_chunk).
# With another allocator put before it (Debian's libtcmalloc-minimal4, of 93 kB, by LD_PRELOAD) the same unchanged binary takes about two fifths of
# the processor time for the same change, and less memory. One would look for the cost in the number of rows and flows.
#
# Needs Debian 12 on amd64 and its package archive. Makes a temporary folder, starts three processes there, one of them twice, and ends them.
set -euo pipefail
work=$(mktemp -d)
end() { for f in "$work"/*.pid; do [ -e "$f" ] && kill "$(cat "$f")" 2>/dev/null; done; rm -rf "$work"; }
trap end EXIT
cd "$work"
apt-get -qq download ovn-common=23.03.1-1~deb12u2 ovn-central=23.03.1-1~deb12u2 openvswitch-common=3.1.0-2+deb12u1 libtcmalloc-minimal4=2.10-1 2>/dev/null
for package in *.deb; do dpkg-deb -x "$package" root; done
export PATH="$work/root/usr/bin:$work/root/usr/sbin:$PATH"
tcmalloc=$(readlink -f root/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4)
for db in nb sb; do
  ovsdb-tool create $db.db "root/usr/share/ovn/ovn-$db.ovsschema"
  ovsdb-server --detach --no-chdir --pidfile="$work/$db.pid" --unixctl="$work/$db.ctl" --remote="punix:$work/$db.sock" \
    --log-file="$work/$db.log" -vconsole:off $db.db
done
nb() { ovn-nbctl --db="unix:$work/nb.sock" "$@"; }
nb init
ovn-sbctl --db="unix:$work/sb.sock" init
ovn-northd --version | head -1

# A thousand ports with DHCP behind a router, all in one port group.
nb ls-add net -- lr-add router -- lrp-add router inside 02:00:00:00:00:fe 10.0.0.1/16 -- lsp-add net up -- lsp-set-type up router \
  -- lsp-set-addresses up router -- lsp-set-options up router-port=inside
dhcp=$(nb create DHCP_Options cidr=10.0.0.0/16 options='"server_id"="10.0.0.1" "server_mac"="02:00:00:00:00:fe" "lease_time"="3600"')
many=()
for n in $(seq 1000); do
  mac=$(printf '02:00:00:01:%02x:%02x' $((n / 256)) $((n % 256))) ip=10.0.$((n / 250 + 1)).$((n % 250 + 2))
  many+=(-- lsp-add net "p$n" -- lsp-set-addresses "p$n" "$mac $ip" -- lsp-set-port-security "p$n" "$mac $ip" -- lsp-set-dhcpv4-options "p$n" "$dhcp")
done
nb "${many[@]:1}"
nb pg-add group $(seq -f 'p%g' 1000)

# Nanoseconds of processor time that ten changes of one ACL cost.
cost() {
  env "$@" ovn-northd --detach --no-chdir --pidfile="$work/northd.pid" --unixctl="$work/northd.ctl" --log-file="$work/northd.log" \
    -vconsole:off --ovnnb-db="unix:$work/nb.sock" --ovnsb-db="unix:$work/sb.sock"
  nb --wait=sb sync
  local pid before
  pid=$(cat northd.pid)
  before=$(cut -d ' ' -f 1 "/proc/$pid/schedstat")
  for n in $(seq 10); do nb --wait=sb --type=port-group acl-add group to-lport 1002 "outport == @group && udp.dst == $n" allow-related; done
  echo $(($(cut -d ' ' -f 1 "/proc/$pid/schedstat") - before))
  nb --type=port-group acl-del group
  kill "$pid"
  while [ -e northd.pid ]; do sleep 0.1; done
}
cost X=1 >/dev/null
plain=$(cost X=1)
other=$(cost LD_PRELOAD="$tcmalloc")
echo "a change with glibc's malloc: $((plain / 10000000)) ms of processor time; with tcmalloc: $((other / 10000000)) ms"
[ $((other * 4)) -lt $((plain * 3)) ]
