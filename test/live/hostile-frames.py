"""Frames of a guest that poses as what it is not, and a witness of what of them arrives. Raw, so that no kernel of ours has a say.

hostile-frames.py say FACTS KIND…   sends frames of these kinds, all where none is named. FACTS is JSON: own, victim, neighbour, gateway, each
                                    {mac, v4, v6, local}, the last its link-local address. Prints the kinds that were sent, as JSON
hostile-frames.py hear              prints "ready", then the kind of each frame that this card is meant to take, a line each

What is cut in fragments bears its kind in the last of them, and is heard by who has had the first as well.
"""

import json
import random
import socket
import struct
import sys

MARK = b"\xf5kind:"
card = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
card.bind(("eth0", 0))

if sys.argv[1] == "hear":
    OTHERHOST, OUTGOING = 3, 4
    firsts, lasts = set(), {}
    print("ready", flush=True)
    while True:
        frame, address = card.recvfrom(4096)
        # What the host has spoiled is addressed to nobody.
        if address[2] in (OTHERHOST, OUTGOING):
            continue
        if frame[12:14] == b"\x08\x00" and frame[20] & 0x3F | frame[21]:
            name, later = frame[18:20], frame[20] & 0x1F | frame[21]
        elif frame[12:14] == b"\x86\xdd" and frame[20] == 44:
            name, later = frame[58:62], struct.unpack("!H", frame[56:58])[0] & 0xFFF8
        else:
            name, later = None, 0
        kind = frame.split(MARK)[1].split(b";")[0].decode() if MARK in frame else None
        if later:
            lasts[name] = kind
        elif kind:
            print(kind, flush=True)
        else:
            firsts.add(name)
        # A switch may send on the last before the first.
        if name in firsts and lasts.get(name):
            print(lasts.pop(name), flush=True)

facts = json.loads(sys.argv[2])
own, victim, neighbour, gateway = (facts[who] for who in ("own", "victim", "neighbour", "gateway"))
BROADCAST, NODES, EVERYBODY = "ff:ff:ff:ff:ff:ff", "33:33:00:00:00:01", "ff02::1"
FOREIGN = "02:00:00:00:00:99"
ICMP6, UDP, TCP, DESTINATION, HOP_BY_HOP, FRAGMENT = 58, 17, 6, 60, 0, 44


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def v4(text):
    return socket.inet_aton(text)


def v6(text):
    return socket.inet_pton(socket.AF_INET6, text)


def mark(kind):
    return MARK + kind.encode() + b";"


def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total >> 16) + (total & 0xFFFF)
    return ~total & 0xFFFF


def ethernet(payload, kind, to, source=None, tags=()):
    tagged = b"".join(struct.pack("!HH", protocol, tag) for protocol, tag in tags)
    return mac(to) + mac(source or own["mac"]) + tagged + struct.pack("!H", kind) + payload


def arp(operation, sender, target, to=BROADCAST, sha=None, source=None):
    ends = mac(sha or own["mac"]) + v4(sender) + (bytes(6) if operation == 1 else mac(to)) + v4(target)
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + ends
    return lambda kind: [ethernet(body + mark(kind), 0x0806, to, source)]


def with_sum(source, target, protocol, data, at):
    """An upper header whose checksum, at this place, is made for these ends."""
    pseudo = source + target + struct.pack("!IHBB", len(data), 0, 0, protocol)
    return data[:at] + struct.pack("!H", checksum(pseudo + data)) + data[at + 2 :]


def packet4(source, target, protocol, data, offset=0, more=False, name=0):
    flags = (0x2000 if more else 0) | offset // 8
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), name, flags, 64, protocol, 0) + v4(source) + v4(target)
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + data


def packet6(source, target, protocol, data, hops=64):
    return struct.pack("!IHBB", 6 << 28, len(data), protocol, hops) + v6(source) + v6(target) + data


def udp(source, target, ports, data, family=v6):
    body = struct.pack("!HHHH", *ports, 8 + len(data), 0) + data
    return with_sum(family(source), family(target), UDP, body, 6)


def option(protocol, padding=1):
    """An extension header that says nothing, before that protocol: 8 bytes, and as many more times 264 as there is more padding."""
    return bytes([protocol, 33 * (padding - 1)]) + bytes([1, 4, 0, 0, 0, 0]) + (bytes([1, 255]) + bytes(255) + bytes([1, 5]) + bytes(5)) * (padding - 1)


def nd(type, body, target, source=None, to=None, wrap="", tags=(), nd_code=0):
    """Neighbour discovery: plainly, behind an extension header, in fragments, or in fragments of which the first hides what it is."""
    source, to = source or own["local"], to or (NODES if target == EVERYBODY else victim["mac"])

    def frames(kind):
        nonce = mark(kind)
        nonce += bytes(-(2 + len(nonce)) % 8)
        data = struct.pack("!BBH", type, nd_code, 0) + body + bytes([14, (2 + len(nonce)) // 8]) + nonce
        data = with_sum(v6(source), v6(target), ICMP6, data, 2)
        parts = wrapped(ICMP6, data, wrap, len(data) - len(nonce) - 2)
        return [ethernet(packet6(source, target, first, part, 255), 0x86DD, to, None, tags) for first, part in parts]

    return frames


def wrapped(protocol, data, wrap, cut):
    """(first next header, payload) of each packet that carries it."""
    if wrap == "":
        return [(protocol, data)]
    if wrap == "options":
        return [(DESTINATION, option(protocol) + data)]
    if wrap == "hop by hop":
        return [(HOP_BY_HOP, option(protocol) + data)]
    # Connection tracking in userspace takes no first fragment below 1,280 bytes.
    hiding = option(protocol, 6) if "hidden" in wrap or wrap == "unfinished" else b""
    inner = DESTINATION if hiding else protocol
    cuts = {"atomic": len(data), "fragments": cut // 8 * 8, "unfinished": len(hiding) - 8, "hidden": len(hiding), "half hidden": len(hiding) + 8}
    cut = cuts[wrap]
    whole, name = hiding + data, random.getrandbits(32)

    def part(offset, piece, more):
        return FRAGMENT, struct.pack("!BBHI", inner, 0, offset | more, name) + piece

    return [part(0, whole[:cut], 0 if wrap == "atomic" else 1)] + ([part(cut, whole[cut:], 0)] if cut < len(whole) else [])


def advertised(target, link, flags):
    return struct.pack("!I", flags << 24) + v6(target) + bytes([2, 1]) + mac(link)


def neighbour_advertisement(target, flags, link=None, **how):
    unsolicited = flags == OVERRIDE
    return nd(136, advertised(target, link or own["mac"], flags), EVERYBODY if unsolicited else victim["v6"], target if unsolicited else None, **how)


def datagram6(ports, data, wrap="", source=None, target=None, hops=64, tags=()):
    source, target = source or own["local"], target or victim["local"]

    def frames(kind):
        parts = wrapped(UDP, udp(source, target, ports, data + mark(kind)), wrap, 1280)
        return [ethernet(packet6(source, target, first, part, hops), 0x86DD, victim["mac"], None, tags) for first, part in parts]

    return frames


def datagram4(ports, data, source=None, cut=None, to=None, tags=(), target=None, eth=None):
    source, target = source or own["v4"], target or victim["v4"]

    def frames(kind):
        name = random.randrange(1, 0xFFFF)
        body = udp(source, target, ports, data + mark(kind), v4)
        pieces = [(0, body)] if cut is None else [(0, body[:cut]), (cut, body[cut:])]
        packets = [packet4(source, target, UDP, piece, at, at + len(piece) < len(body), name) for at, piece in pieces]
        return [ethernet(packet, 0x0800, to or victim["mac"], eth, tags) for packet in packets]

    return frames


def segment4(ports, cut):
    """A TCP SYN with something to say, cut after so many bytes: after 8 its flags and sums are in the second piece."""

    def frames(kind):
        name = random.randrange(1, 0xFFFF)
        head = struct.pack("!HHIIBBHHH", *ports, 1, 0, 5 << 4, 2, 8192, 0, 0)
        body = with_sum(v4(own["v4"]), v4(victim["v4"]), TCP, head + bytes(1200) + mark(kind), 16)
        packets = [packet4(own["v4"], victim["v4"], TCP, piece, at, more, name) for at, piece, more in ((0, body[:cut], True), (cut, body[cut:], False))]
        return [ethernet(packet, 0x0800, victim["mac"]) for packet in packets]

    return frames


ROUTER = struct.pack("!BBHII", 64, 0, 1800, 0, 0) + bytes([3, 4, 64, 0xC0]) + struct.pack("!III", 86400, 14400, 0) + v6("fd66:6::")
REDIRECT = bytes(4) + v6(own["local"]) + v6(neighbour["v6"])
SOLICITED, OVERRIDE = 0x60, 0x20
OFFER = bytes([2, 1, 6, 0]) + bytes(232) + b"\x63\x82\x53\x63" + bytes([53, 1, 2, 255])
ADVERTISE = bytes([2, 0, 0, 1])

kinds = {
    "ARP reply for the neighbour": arp(2, neighbour["v4"], victim["v4"], victim["mac"]),
    "ARP reply for the gateway": arp(2, gateway["v4"], victim["v4"], victim["mac"]),
    "gratuitous ARP for the neighbour": arp(2, neighbour["v4"], neighbour["v4"]),
    "gratuitous ARP for the gateway": arp(2, gateway["v4"], gateway["v4"]),
    "ARP question in the gateway's name": arp(1, gateway["v4"], facts["nobody"]),
    "ARP reply with a foreign hardware address": arp(2, own["v4"], victim["v4"], victim["mac"], sha=FOREIGN),
    "ARP reply in a foreign frame": arp(2, own["v4"], victim["v4"], victim["mac"], source=FOREIGN),
    "advertisement of the neighbour": neighbour_advertisement(neighbour["v6"], SOLICITED),
    "advertisement of the neighbour to all": neighbour_advertisement(neighbour["v6"], OVERRIDE),
    "advertisement of the gateway": neighbour_advertisement(gateway["v6"], SOLICITED),
    "advertisement of the gateway to all": neighbour_advertisement(gateway["v6"], OVERRIDE),
    "advertisement of the gateway's local address": neighbour_advertisement(gateway["local"], SOLICITED),
    "advertisement of its own address at a foreign one": neighbour_advertisement(own["v6"], SOLICITED, FOREIGN),
    "solicitation in the gateway's name": nd(135, bytes(4) + v6(victim["v6"]) + bytes([1, 1]) + mac(own["mac"]), victim["v6"], gateway["v6"]),
    "redirect": nd(137, REDIRECT, victim["v6"]),
    "router advertisement": nd(134, ROUTER, EVERYBODY),
    "router advertisement to one": nd(134, ROUTER, victim["local"]),
    "DHCPv4 offer to all": datagram4((67, 68), OFFER, to=BROADCAST, target="255.255.255.255"),
    "DHCPv4 offer": datagram4((67, 68), OFFER),
    "DHCPv4 offer in fragments": datagram4((67, 68), OFFER + bytes(1300), cut=1200),
    "DHCPv6 advertisement": datagram6((547, 546), ADVERTISE),
    "datagram from a foreign IPv4 address": datagram4((7, 9), b"", source=facts["nobody"]),
    "datagram from the neighbour's IPv4 address": datagram4((7, 9), b"", source=neighbour["v4"]),
    "datagram from a foreign IPv6 address": datagram6((7, 9), b"", source="fd66:6::1", target=victim["v6"]),
    "datagram from the neighbour's IPv6 address": datagram6((7, 9), b"", source=neighbour["v6"], target=victim["v6"]),
    "datagram from the gateway's local address": datagram6((7, 9), b"", source=gateway["local"]),
    "datagram in a foreign frame": datagram4((7, 9), b"", eth=FOREIGN),
    "tagged datagram": datagram4((7, 9), b"", tags=[(0x8100, 100)]),
    "datagram with a priority tag": datagram4((7, 9), b"", tags=[(0x8100, 0)]),
    "datagram with two tags": datagram4((7, 9), b"", tags=[(0x88A8, 100), (0x8100, 100)]),
    "router advertisement with a priority tag": nd(134, ROUTER, EVERYBODY, tags=[(0x8100, 0)]),
    "honest ARP": arp(2, own["v4"], own["v4"]),
    "honest neighbour advertisement": neighbour_advertisement(own["v6"], SOLICITED),
    "honest datagram by IPv4": datagram4((7, 9), b""),
    "honest datagram by IPv6": datagram6((7, 9), b"", source=own["v6"], target=victim["v6"]),
}
for wrap in ("options", "hop by hop", "atomic", "fragments", "unfinished", "hidden", "half hidden"):
    kinds[f"router advertisement: {wrap}"] = nd(134, ROUTER, EVERYBODY, wrap=wrap)
    kinds[f"redirect: {wrap}"] = nd(137, REDIRECT, victim["v6"], wrap=wrap)
    kinds[f"advertisement of the neighbour: {wrap}"] = neighbour_advertisement(neighbour["v6"], SOLICITED, wrap=wrap)
    kinds[f"DHCPv6 advertisement: {wrap}"] = datagram6((547, 546), ADVERTISE + bytes(1300), wrap)
for cut in (8, 24, 1200):
    kinds[f"TCP cut after {cut}"] = segment4((40_000 + cut, 81), cut)
kinds["UDP cut after 1200"] = datagram4((7, 81), bytes(1400), cut=1200)

kinds["the end"] = kinds["honest ARP"]

chosen = sys.argv[3:] or [kind for kind in kinds if kind != "the end"]
for kind in chosen:
    for frame in kinds[kind](kind):
        card.send(frame)
print(json.dumps(chosen))
