"""
Runs inside a namespace of the live test of paths: datagrams of a chosen size, by IPv4 or IPv6.
  echo PORT                    answers each datagram with as many bytes; prints `ready`
  ask HOST PORT SIZE [whole]   sends one whose packet has SIZE bytes until it is answered; whole: it must not be fragmented. Prints `answered`,
                               or the path's MTU as the kernel has learned it, or `silence`
"""
import errno
import socket
import sys
import time

IP_MTU_DISCOVER, IP_MTU, IPV6_MTU_DISCOVER, IPV6_MTU = 10, 14, 23, 24
NEVER, ALWAYS = 0, 2


def echo(port):
    server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    # Its answers are fragmented where the path asks for it.
    server.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, 1)
    server.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, 1)
    server.bind(("::", port))
    print("ready", flush=True)
    while True:
        data, address = server.recvfrom(65535)
        server.sendto(b"%d" % len(data), address)


def ask(host, port, size, whole):
    six = ":" in host
    client = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
    level = socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP
    client.setsockopt(level, IPV6_MTU_DISCOVER if six else IP_MTU_DISCOVER, ALWAYS if whole else 1)
    client.settimeout(0.3)
    client.connect((host, port))
    data = b"x" * (size - (48 if six else 28))
    end = time.monotonic() + 4
    while time.monotonic() < end:
        try:
            client.send(data)
            if int(client.recv(100)) == len(data):
                return "answered"
        except OSError as error:
            if error.errno == errno.EMSGSIZE and whole:
                return str(client.getsockopt(level, IPV6_MTU if six else IP_MTU))
    return "silence"


if sys.argv[1] == "echo":
    echo(int(sys.argv[2]))
else:
    print(ask(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:] == ["whole"]))
