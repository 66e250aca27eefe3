"""
Runs inside a namespace of the bench of the data plane.
  serve PORT NAME        answers each datagram with NAME; prints `ready`
  knock HOST PORT [fresh]  sends a datagram each millisecond; prints for each answer the time by the machine's monotonic clock, in microseconds, and
                         the name; and `0 ready` first. fresh: each fourth from another port (what is known of a connection decides for its packets)
"""
import collections
import select
import socket
import sys
import time


def serve(port, name):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("0.0.0.0", port))
    print("ready", flush=True)
    while True:
        _, address = server.recvfrom(2048)
        server.sendto(name.encode(), address)


def knock(address, fresh):
    poll = select.epoll()
    waiting = collections.OrderedDict()
    print("0 ready", flush=True)
    due = time.monotonic()
    sent = 0
    one = None
    while True:
        now = time.monotonic()
        if now >= due:
            due = max(due + 0.001, now - 0.01)
            if one is None or (fresh and sent % 4 == 0):
                one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                one.setblocking(False)
                waiting[one.fileno()] = one
                poll.register(one, select.EPOLLIN)
                if len(waiting) > 500:
                    waiting.popitem(last=False)[1].close()
            sent += 1
            try:
                one.sendto(b"knock", address)
            except OSError:
                pass  # Nobody answers ARP, or the machine has no room for it: the next may pass.
        for descriptor, _ in poll.poll(max(0, due - time.monotonic())):
            try:
                name = waiting[descriptor].recv(100).decode()
                print(time.monotonic_ns() // 1000, name, flush=True)
            except OSError:
                pass


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]), sys.argv[3])
else:
    knock((sys.argv[2], int(sys.argv[3])), sys.argv[4:] == ["fresh"])
