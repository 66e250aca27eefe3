#!/bin/bash
# OVN 23.03.1: a distributed floating IP (NAT dnat_and_snat with logical_port and external_mac) whose logical flows reach ovn-controller in the moment in which it takes the guest's
# port is silent for good: flows that ask whether the port is here (is_chassis_resident) were judged as before the taking, and are not judged again, though the port is bound, up, and
# its other flows are in. `ovn-appctl inc-engine/recompute` puts it right. One would expect that the order of two words does not matter.
# Eight ports are plugged again and again beside the writing of their floating IPs, the one a little later than the other each time, until it has happened (try 4 to 122, mostly to all
# eight; the smaller the machine's load the later).
#
# Needs Debian 12 with root, openvswitch-switch, ovn-host and ovn-central. Works in namespaces of its own and a temporary folder; takes ten seconds to some minutes.
set -euo pipefail
if [ "${1:-}" != inside ]; then exec unshare -n -m -p -f --mount-proc bash "$0" inside; fi
work=$(mktemp -d)
trap 'for f in "$work"/*.pid; do [ -e "$f" ] && kill "$(cat "$f")" 2>/dev/null; done; rm -rf "$work"' EXIT
export OVS_RUNDIR=$work OVS_LOGDIR=$work OVN_RUNDIR=$work OVN_LOGDIR=$work
quiet=(--no-chdir -vconsole:off --detach)
ip link set lo up
for db in conf:/usr/share/openvswitch/vswitch nb:/usr/share/ovn/ovn-nb sb:/usr/share/ovn/ovn-sb; do
  ovsdb-tool create "$work/${db%%:*}.db" "${db#*:}.ovsschema"
  ovsdb-server "${quiet[@]}" --pidfile="$work/${db%%:*}.pid" --unixctl="$work/${db%%:*}.ctl" --remote="punix:$work/${db%%:*}.sock" \
    --log-file="$work/${db%%:*}.log" "$work/${db%%:*}.db" 2>/dev/null
done
vsctl() { ovs-vsctl --db="unix:$work/conf.sock" "$@"; }
nb() { ovn-nbctl --db="unix:$work/nb.sock" "$@"; }
vsctl --no-wait init
nb init
ovs-vswitchd "${quiet[@]}" --pidfile="$work/vs.pid" --unixctl="$work/vs.ctl" --log-file="$work/vs.log" "unix:$work/conf.sock" 2>/dev/null
ovn-northd "${quiet[@]}" --pidfile="$work/northd.pid" --unixctl="$work/northd.ctl" --log-file="$work/northd.log" --ovnnb-db="unix:$work/nb.sock" \
  --ovnsb-db="unix:$work/sb.sock" 2>/dev/null
vsctl add-br br-int -- set bridge br-int datapath_type=netdev fail_mode=secure -- add-br br-ex -- set bridge br-ex datapath_type=netdev \
  -- set open_vswitch . external_ids:system-id=host external_ids:ovn-remote="unix:$work/sb.sock" external_ids:ovn-encap-type=geneve \
  external_ids:ovn-encap-ip=127.0.0.1 external_ids:ovn-bridge-mappings=outside:br-ex external_ids:ovn-bridge-datapath-type=netdev
ovn-controller "${quiet[@]}" --pidfile="$work/controller.pid" --log-file="$work/controller.log" "unix:$work/conf.sock" 2>/dev/null
ovn-controller --version | head -1
nb ls-add inside -- ls-add outside -- lsp-add outside localnet -- lsp-set-type localnet localnet -- lsp-set-addresses localnet unknown \
  -- lsp-set-options localnet network_name=outside -- lr-add router -- lrp-add router in 02:00:00:00:00:02 10.0.0.1/24 \
  -- lrp-add router out 02:00:00:00:00:01 203.0.113.1/24 -- lrp-set-gateway-chassis out host -- lsp-add inside in-peer -- lsp-set-type in-peer router \
  -- lsp-set-addresses in-peer router -- lsp-set-options in-peer router-port=in -- lsp-add outside out-peer -- lsp-set-type out-peer router \
  -- lsp-set-addresses out-peer router -- lsp-set-options out-peer router-port=out nat-addresses=router
nb --wait=hv sync

guests=(1 2 3 4 5 6 7 8)
each() { for n in "${guests[@]}"; do eval "echo $1"; done; }
silent() { # Those whose floating IP nothing is sent from.
  for n in "${guests[@]}"; do grep -q "nw_src=10.0.0.1$n .*nat(src=203.0.113.1$n)" "$work/flows" || echo "$n"; done
}
flows() { ovs-ofctl -O OpenFlow15 dump-flows "unix:$work/br-int.mgmt" >"$work/flows"; }
for try in $(seq 1 300); do
  nb --wait=hv $(each '-- lsp-add inside guest$n -- lsp-set-addresses guest$n 02:00:00:00:00:1$n')
  vsctl $(each '-- add-port br-int guest$n -- set interface guest$n type=internal external_ids:iface-id=guest$n') &
  sleep "0.0$(printf %02d $((try % 60)))"
  nb $(each '-- lr-nat-add router dnat_and_snat 203.0.113.1$n 10.0.0.1$n guest$n 02:00:00:00:01:1$n')
  wait $!
  for n in "${guests[@]}"; do nb --timeout=20 wait-until logical_switch_port "guest$n" up=true; done
  nb --wait=hv sync
  flows
  if [ "$(silent | wc -l)" != 0 ]; then
    sleep 3
    flows
    left=$(silent | wc -l)
    echo "try $try: of ${#guests[@]} floating IPs whose ports are all up, without flows 3 seconds later: $left"
    ovs-appctl -t "$work/ovn-controller.$(cat "$work/controller.pid").ctl" inc-engine/recompute
    nb --wait=hv sync
    sleep 1
    flows
    now=$(silent | wc -l)
    echo "after inc-engine/recompute: $now"
    [ "$left" != 0 ] && [ "$now" = 0 ]
    exit
  fi
  vsctl $(each '-- del-port guest$n')
  nb --wait=hv $(each '-- lr-nat-del router dnat_and_snat 203.0.113.1$n -- lsp-del guest$n')
done
echo 'it did not happen'
exit 1
