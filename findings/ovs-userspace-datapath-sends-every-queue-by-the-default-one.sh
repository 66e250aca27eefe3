#!/bin/bash
# Open vSwitch 3.1.0, userspace datapath (datapath_type=netdev) over the kernel's network devices: a QoS of linux-htb with a queue of its own
# minimum rate is taken, made in the kernel and shown by qos/show; a flow with set_queue is taken, matches, and is in the datapath as
# set(skb_priority(..)). Yet each frame leaves by the default queue, and nothing says so: what ought to be promised a rate
# (OVN's qos_min_rate rests on it) competes with everything else. With the kernel's datapath the priority goes along with the frame.
# In the other direction: what nft's ingress hook at such a device drops, and counts as dropped, the datapath has read before and forwards.
#
# Needs Debian 12 with root, openvswitch-switch, nftables, python3 and sch_htb. Works in namespaces of its own and a temporary folder.
set -euo pipefail
if [ "${1:-}" != inside ]; then exec unshare -n -m -p -f --mount-proc bash "$0" inside; fi
work=$(mktemp -d)
trap 'for f in "$work"/*.pid; do [ -e "$f" ] && kill "$(cat "$f")" 2>/dev/null; done; rm -rf "$work"' EXIT
mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns
export OVS_RUNDIR=$work OVS_LOGDIR=$work
ip link set lo up
ovsdb-tool create "$work/conf.db" /usr/share/openvswitch/vswitch.ovsschema
ovsdb-server --detach --no-chdir --pidfile="$work/db.pid" --unixctl="$work/db.ctl" --remote="punix:$work/db.sock" --log-file="$work/db.log" \
  -vconsole:off "$work/conf.db" 2>/dev/null
vsctl() { ovs-vsctl --db="unix:$work/db.sock" "$@"; }
vsctl --no-wait init
ovs-vswitchd --detach --no-chdir --pidfile="$work/vs.pid" --unixctl="$work/vs.ctl" --log-file="$work/vs.log" -vconsole:off "unix:$work/db.sock" 2>/dev/null
ovs-vswitchd --version | head -1
for n in 1 2; do
  ip netns add "guest$n"
  ip link add "port$n" type veth peer name card netns "guest$n"
  ip link set "port$n" up
  ip -n "guest$n" addr add "192.0.2.$n/24" dev card
  ip -n "guest$n" link set card up
done
vsctl add-br bridge -- set bridge bridge datapath_type=netdev -- add-port bridge port1 -- add-port bridge port2
vsctl set port port2 qos=@qos -- --id=@qos create qos type=linux-htb other-config:max-rate=100000000 queues:0=@default queues:1=@promised \
  -- --id=@default create queue other-config:min-rate=1000000 -- --id=@promised create queue other-config:min-rate=50000000 >/dev/null
ofctl() { ovs-ofctl "$@"; }
ofctl del-flows "$work/bridge.mgmt"
ofctl add-flow "$work/bridge.mgmt" in_port=port1,udp,actions=set_queue:1,output:port2
nft add table netdev watch
nft 'add chain netdev watch drops { type filter hook ingress device port1 priority 0; }'
nft 'add rule netdev watch drops udp dport 9 counter drop'
ip -n guest1 neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev card
ip netns exec guest1 python3 -c '
import socket, time
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(200):
    sender.sendto(bytes(200), ("192.0.2.2", 9))
    time.sleep(0.005)'
sleep 1
matched=$(ofctl dump-flows "$work/bridge.mgmt" | sed -n 's/.*n_packets=\([0-9]*\).*set_queue.*/\1/p')
queue() { ovs-appctl -t "$work/vs.ctl" qos/show port2 | sed -n "/^$1/,/tx_packets/s/.*tx_packets: //p"; }
dropped=$(nft list ruleset | sed -n 's/.*counter packets \([0-9]*\).*/\1/p')
ordinary=$(queue Default) promised=$(queue 'Queue 1')
echo "frames that matched set_queue:1:      $matched"
echo "sent by queue 1, by the default one:  $promised, $ordinary"
echo "dropped by nft before that:           $dropped"
[ "$matched" -ge 200 ] && [ "$promised" = 0 ] && [ "$ordinary" -ge 200 ] && [ "$dropped" -ge 200 ]
