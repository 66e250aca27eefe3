#!/bin/bash
# OVN 23.03.1: a floating IP (NAT dnat_and_snat) with external_mac and logical_port, handled on the chassis that has the router's gateway, loses both, as
# where its guest goes to a host without the physical network. The southbound database says at once that the address is the router's MAC address now,
# and ARP requests are answered so; but ovn-controller, which announces addresses that are new to it, knows this one already, by port and address
# alone, and says nothing of the change. Whoever has the old MAC address in its neighbour table sends to nobody until that entry is too old. Likewise the other way.
# An address that is given at the same time is announced within the second. One would expect a gratuitous ARP request for both.
#
# Needs Debian 12 with root, openvswitch-switch, ovn-host, ovn-central and python3. Works in namespaces of its own and a temporary folder; takes 30 seconds.
set -euo pipefail
if [ "${1:-}" != inside ]; then exec unshare -n -m -p -f --mount-proc bash "$0" inside; fi
work=$(mktemp -d)
trap 'for f in "$work"/*.pid; do [ -e "$f" ] && kill "$(cat "$f")" 2>/dev/null; done; rm -rf "$work"' EXIT
export OVS_RUNDIR=$work OVS_LOGDIR=$work OVN_RUNDIR=$work OVN_LOGDIR=$work
quiet=(--no-chdir -vconsole:off --detach)
ip link set lo up
ip link add cable type veth peer name outside
ip link set cable up
ip link set outside up
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
  -- add-port br-ex cable -- add-port br-int guest -- set interface guest type=internal external_ids:iface-id=guest \
  -- set open_vswitch . external_ids:system-id=host external_ids:ovn-remote="unix:$work/sb.sock" external_ids:ovn-encap-type=geneve \
  external_ids:ovn-encap-ip=127.0.0.1 external_ids:ovn-bridge-mappings=outside:br-ex external_ids:ovn-bridge-datapath-type=netdev
ovn-controller "${quiet[@]}" --pidfile="$work/controller.pid" --log-file="$work/controller.log" "unix:$work/conf.sock" 2>/dev/null
ovn-controller --version | head -1

own=02:00:00:00:00:11 router=02:00:00:00:00:01
nb ls-add inside -- lsp-add inside guest -- lsp-set-addresses guest '02:00:00:00:00:0a 10.0.0.10' -- ls-add outside \
  -- lsp-add outside localnet -- lsp-set-type localnet localnet -- lsp-set-addresses localnet unknown -- lsp-set-options localnet network_name=outside \
  -- lr-add router -- lrp-add router in 02:00:00:00:00:02 10.0.0.1/24 -- lrp-add router out $router 203.0.113.1/24 \
  -- lrp-set-gateway-chassis out host -- lsp-add inside in-peer -- lsp-set-type in-peer router -- lsp-set-addresses in-peer router \
  -- lsp-set-options in-peer router-port=in -- lsp-add outside out-peer -- lsp-set-type out-peer router -- lsp-set-addresses out-peer router \
  -- lsp-set-options out-peer router-port=out nat-addresses=router -- lr-nat-add router dnat_and_snat 203.0.113.11 10.0.0.10 guest $own
cat >"$work/listen.py" <<'END'
# listen.py SECONDS: prints who says unasked that an address is its own; listen.py ask ADDRESS: who says so when asked.
import socket, sys, time
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
wire.bind(("outside", 0))
asked = sys.argv[2] if sys.argv[1] == "ask" else None
if asked:
    own = wire.getsockname()[4]
    wire.send(b"\xff" * 6 + own + b"\x08\x06\0\x01\x08\0\x06\x04\0\x01" + own + socket.inet_aton("203.0.113.99") + bytes(6) + socket.inet_aton(asked))
end, seen = time.time() + (3 if asked else float(sys.argv[1])), set()
while time.time() < end:
    wire.settimeout(max(0.01, end - time.time()))
    try:
        frame = wire.recv(100)
    except TimeoutError:
        break
    address, mac = socket.inet_ntoa(frame[28:32]), frame[22:28].hex(":")
    if frame[21] == 2 and address == asked:
        print(mac)
        break
    if not asked and frame[28:32] == frame[38:42]:
        seen.add(f"{address} {mac}")
if not asked:
    print("\n".join(sorted(seen)))
END
listen() { python3 "$work/listen.py" "$1" | grep -v '^203.0.113.1 ' || true; }
ask() { python3 "$work/listen.py" ask "$1"; }
nb --wait=hv sync
listen 5 | sed 's/^/at first announced:          /' | tee "$work/first"
echo "at first asked for:          203.0.113.11 $(ask 203.0.113.11)"
# OVN says it again after 1, 2, 4 and 8 seconds; then it is silent.
sleep 12
(listen 8 >"$work/second") &
sleep 0.5
nat=$(nb --bare --columns=_uuid find nat external_ip=203.0.113.11)
nb --wait=hv clear nat "$nat" logical_port external_mac -- lr-nat-add router dnat_and_snat 203.0.113.12 10.0.0.12
wait $!
sed 's/^/after the change announced:  /' "$work/second"
answer=$(ask 203.0.113.11)
echo "after the change asked for:  203.0.113.11 $answer"
grep -q "203.0.113.11 $own" "$work/first" && [ "$answer" = $router ] && grep -q "203.0.113.12 $router" "$work/second" &&
  ! grep -q "203.0.113.11 $router" "$work/second"
