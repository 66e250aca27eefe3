"""
Runs inside a namespace of a live test: `steady.py HOST PORT` sends a datagram each 20 ms, from one port, and prints for each answer the time at
which it came, in milliseconds of the machine's monotonic clock. path-mtu.py answers (`echo PORT`).
"""
import select
import socket
import sys
import time

client = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
address = (sys.argv[1], int(sys.argv[2]))
due = time.monotonic()
while True:
    now = time.monotonic()
    if now >= due:
        due = now + 0.02
        try:
            client.sendto(b"steady", address)
        except OSError:
            pass  # Nobody answered ARP for a while: the next may.
    if select.select([client], [], [], max(0, due - time.monotonic()))[0]:
        try:
            client.recv(100)
            print(int(time.monotonic() * 1000), flush=True)
        except OSError:
            pass
