#!/bin/bash
# OVN 23.03.1: an option of DHCP_Options that is text must bring its own quotes inside the value. Without them the northbound
# database takes the row, ovn-northd reports nothing and `ovn-nbctl --wait=sb sync` succeeds, but ovn-northd has copied the value
# as it is into the one action that answers DHCP, and whoever reads that flow (ovn-controller, ovn-trace) drops it whole: the ports
# that use the row get no DHCP at all, not merely no boot file. One would expect a refusal, or the other options to be sent.
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
ovn-northd --version | head -1

nb ls-add net -- lsp-add net guest -- lsp-set-addresses guest '02:00:00:00:00:0a 192.0.2.10'
sb chassis-add host geneve 198.51.100.1
common='"server_id"="192.0.2.1" "server_mac"="02:00:00:00:00:fe" "lease_time"="3600"'
asks='inport == "guest" && eth.src == 02:00:00:00:00:0a && eth.dst == ff:ff:ff:ff:ff:ff && ip4.src == 0.0.0.0 &&
  ip4.dst == 255.255.255.255 && udp.src == 68 && udp.dst == 67 && ip.ttl == 64'
# Prints "answered" where the guest's request meets the flow that answers DHCP.
ask() {
  nb lsp-set-dhcpv4-options guest "$(nb create DHCP_Options cidr=192.0.2.0/24 options="$common $1")"
  nb --wait=sb sync
  sb --may-exist lsp-bind guest host
  ovn-trace --db="unix:$work/sb.sock" net "$asks" >trace.txt 2>trace.err
  if grep -q 'put_dhcp_opts' trace.txt; then echo answered; else echo 'not answered'; fi
}
without=$(ask '')
quoted=$(ask '"bootfile_name"="\"pxelinux.0\""')
bare=$(ask '"bootfile_name"="pxelinux.0"')
echo "no boot file: $without"
echo "boot file with quotes inside its value: $quoted"
echo "boot file as plain text: $bare; the reader of the flow says: $(sed -n 's/.*parsing actions failed/parsing actions failed/p' trace.err | head -1)"
warnings=$(grep -cE 'WARN|ERR' northd.log || true)
echo "warnings of ovn-northd: $warnings"
[ "$without" = answered ] && [ "$quoted" = answered ] && [ "$bare" = 'not answered' ] && [ "$warnings" = 0 ]
