"""Pings through a card whose frames bear a VLAN's tag, as a guest with such an interface does: the kernel of a test machine has none.

tagged-peer.py MAC IP TAG TARGET MS   asks for TARGET's MAC address, then sends echoes there, until MS milliseconds have passed;
prints "answered" when an echo came back with the tag, else "closed".
"""

import socket
import struct
import sys
import time

mac, ip, tag, target, ms = sys.argv[1:]
own = bytes.fromhex(mac.replace(":", ""))
SOL_PACKET, PACKET_AUXDATA, VLAN_VALID, OUTGOING = 263, 8, 0x10, 4
card = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
card.bind(("eth0", 0))
# The kernel takes the tag of what comes out of the frame, and tells it beside.
card.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def send(to, kind, payload):
    card.send(to + own + struct.pack("!HHH", 0x8100, int(tag), kind) + payload)


def arp():
    ends = own + socket.inet_aton(ip) + bytes(6) + socket.inet_aton(target)
    send(b"\xff" * 6, 0x0806, struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + ends)


def echo(to):
    icmp = struct.pack("!BBHHH", 8, 0, 0, 7, 1) + b"through a trunk."
    icmp = icmp[:2] + struct.pack("!H", checksum(icmp)) + icmp[4:]
    ends = socket.inet_aton(ip) + socket.inet_aton(target)
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(icmp), 1, 0, 64, 1, 0) + ends
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    send(to, 0x0800, header + icmp)


def take(until):
    """A frame with our tag as (kind, payload), or None."""
    card.settimeout(max(0.01, until - time.monotonic()))
    try:
        frame, beside, _, address = card.recvmsg(2048, 256)
    except socket.timeout:
        return None
    if address[2] == OUTGOING or frame[:6] != own:
        return None
    for level, kind, data in beside:
        if level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, _, _, _, _, tci, _ = struct.unpack("IIIHHHH", data[:20])
            if status & VLAN_VALID and tci & 0xFFF == int(tag):
                return struct.unpack("!H", frame[12:14])[0], frame[14:]
    return None


there = None
end = time.monotonic() + int(ms) / 1000
while time.monotonic() < end:
    arp() if there is None else echo(there)
    until = min(end, time.monotonic() + 0.2)
    while time.monotonic() < until:
        got = take(until)
        if got is None:
            continue
        kind, payload = got
        if kind == 0x0806 and payload[7] == 2 and payload[14:18] == socket.inet_aton(target):
            there = payload[8:14]
            break
        if kind == 0x0800 and payload[9] == 1 and payload[20] == 0 and payload[12:16] == socket.inet_aton(target):
            print("answered")
            sys.exit()
print("closed")
