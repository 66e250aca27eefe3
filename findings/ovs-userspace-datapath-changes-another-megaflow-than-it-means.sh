#!/bin/bash
# Open vSwitch 3.1.0, userspace datapath (datapath_type=netdev): where two megaflows overlap, a changed action is written to whichever of them a
# packet's key finds first, not to the one that the revalidator means and believes changed. That one keeps its old action for as long as packets
# use it: who tries again and again meets the rule of before, or goes on passing where it must not, while OpenFlow's tables and ofproto/trace
# say otherwise. revalidator/purge ends it. The kernel's datapath changes megaflows by their identifiers.
#
# Needs Debian 12 with openvswitch-switch (3.1.0-2+deb12u1). Ports are OVS's own dummies; a namespace and a temporary folder of its own.
set -euo pipefail
if [ "${1:-}" != inside ]; then exec unshare -n -m -p -f --mount-proc bash "$0" inside; fi
work=$(mktemp -d)
trap 'for f in "$work"/*.pid; do [ -e "$f" ] && kill "$(cat "$f")" 2>/dev/null; done; rm -rf "$work"' EXIT
export OVS_RUNDIR=$work OVS_LOGDIR=$work
ovsdb-tool create "$work/conf.db" /usr/share/openvswitch/vswitch.ovsschema
ovsdb-server --detach --no-chdir --pidfile="$work/db.pid" --unixctl="$work/db.ctl" --remote="punix:$work/db.sock" --log-file="$work/db.log" \
  -vconsole:off "$work/conf.db" 2>/dev/null
vsctl() { ovs-vsctl --db="unix:$work/db.sock" "$@"; }
vsctl --no-wait init
ovs-vswitchd --enable-dummy --detach --no-chdir --pidfile="$work/vs.pid" --unixctl="$work/vs.ctl" --log-file="$work/vs.log" -vconsole:off \
  "unix:$work/db.sock" 2>/dev/null
ovs-vswitchd --version | head -1
appctl() { ovs-appctl -t "$work/vs.ctl" "$@"; }
# A seldom look at idle flows keeps both; what changed is looked at once all the same.
vsctl set Open_vSwitch . other_config:max-idle=100000 -- add-br br -- set bridge br datapath_type=dummy fail_mode=secure \
  -- add-port br in -- set interface in type=dummy ofport_request=1 -- add-port br out -- set interface out type=dummy ofport_request=2
rules() { printf '%s\n' "$@" | ovs-ofctl --bundle replace-flows "$work/br.mgmt" - && appctl revalidator/wait; }
packet() {
  appctl netdev-dummy/receive in "in_port(1),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x0800),ipv4(src=10.0.0.1,dst=$1,proto=17,tos=0,ttl=64,frag=no),udp(src=1,dst=2)"
  appctl revalidator/wait
}
megaflow() { appctl dpctl/dump-flows | sed -n "s/.*ipv4(dst=$1[,/].*packets:\([0-9]*\),.*actions:\(.*\)/\2 (\1 packets)/p"; }
# The first makes that the datapath looks for prefixes of 16 bits before it does for those of 24.
rules 'in_port=1,ip,nw_dst=10.2.0.0/16,actions=2'
packet 10.2.0.2
rules 'in_port=1,ip,nw_dst=10.1.2.0/24,actions=2'
packet 10.1.2.2
rules 'in_port=1,ip,nw_dst=10.1.0.0/16,actions=2'
packet 10.1.0.2
# From here on every packet is to be dropped. The second change takes the wide megaflow away, as idleness would.
rules 'in_port=1,ip,nw_dst=10.1.0.0/16,actions=drop'
rules 'in_port=1,ip,nw_dst=10.1.2.0/24,actions=drop'
for _ in $(seq 15); do packet 10.1.2.2; sleep 1; done
wanted=$(appctl ofproto/trace br 'in_port=1,ip,nw_dst=10.1.2.2' | sed -n 's/^Datapath actions: //p')
stale=$(megaflow 10.1.2.2)
appctl revalidator/purge
packet 10.1.2.2
fresh=$(megaflow 10.1.2.2)
echo "what the tables say of 10.1.2.2:     $wanted"
echo "what its megaflow does:              $stale"
echo "and after revalidator/purge:         $fresh"
[ "$wanted" = drop ] && [ "$stale" = '2 (15 packets)' ] && [[ $fresh = drop* ]]
