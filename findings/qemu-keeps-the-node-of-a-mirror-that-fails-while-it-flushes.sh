#!/bin/sh
# Software: qemu-system-x86 1:7.2+dfsg-7+deb12u18+b3 (QEMU 7.2.22) of Debian 12.
# Expected: a mirror job that fails takes its node from above the disk, also while a migration stops the guest.
# Behaviour: where the job ends (on-target-error=report) while QEMU flushes all disks for the stop its node stays above the disk for ever: the walk over all disks holds the node that it
#   is at, and lets go of the one that is in its place by then. No mirror of the disk begins any more (`Need a root block node`), and the disk is held by one less than use it.
#   With on-target-error=stop the job stands still until it is cancelled, and its node goes.
# Here: a guest writes to a disk that one NBD server has and that is mirrored to another. That one is frozen, a migration begins and waits for its writes; then the first is frozen, so
#   that the flush takes its time, the connection to the second is broken (yank), and the first goes on.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir root
apt-get download 'qemu-system-x86=1:7.2+dfsg-7+deb12u18+b3' 'qemu-system-common=1:7.2+dfsg-7+deb12u18+b3' 'qemu-system-data=1:7.2+dfsg-7+deb12u18' 'qemu-utils=1:7.2+dfsg-7+deb12u18+b3' 'seabios=1.16.2-1' >/dev/null 2>&1
for file in ./*.deb; do dpkg-deb -x "$file" root; done
export PATH="$work/root/usr/bin:$PATH" QEMU_MODULE_DIR="$work/root/usr/lib/x86_64-linux-gnu/qemu"
qemu-system-x86_64 --version | head -n 1
case $(qemu-system-x86_64 --version) in *7.2.22*) ;; *) echo 'another version'; exit 1 ;; esac
cat >mirror.py <<'PYTHON'
import json, os, signal, socket, subprocess, sys, threading, time

# 16-bit code: one sector is written again and again by the firmware (int 0x13), counted.
code = bytes.fromhex("31c08ed88ec08ed0bc007cfb b80103 bb007e b90200 ba8000 cd13 66ff06007e ebeb")

class Qemu:
    def __init__(self, *more):
        self.process = subprocess.Popen(["qemu-system-x86_64", *sys.argv[1:], "-nodefaults", "-no-user-config", "-display", "none",
            "-machine", "q35", "-accel", "tcg", "-m", "64M", "-qmp", "unix:qmp,server=on,wait=off", *more])
        for _ in range(200):
            try:
                client = socket.socket(socket.AF_UNIX)
                client.connect("qmp")
                break
            except OSError:
                time.sleep(0.05)
        self.stream = client.makefile("rw")
        self.stream.readline()
        self.do("qmp_capabilities", {"enable": ["oob"]})

    def send(self, command, arguments={}, how="execute"):
        self.stream.write(json.dumps({how: command, "arguments": arguments}) + "\n")
        self.stream.flush()

    def answer(self):
        while True:
            said = json.loads(self.stream.readline())
            if "return" in said or "error" in said:
                return said.get("return", said.get("error", {}).get("desc"))

    def do(self, command, arguments={}, how="execute"):
        self.send(command, arguments, how)
        return self.answer()

def nbd(file):
    path = os.path.abspath(f"{file}.sock")
    process = subprocess.Popen(["qemu-nbd", "-f", "raw", "-t", "-e", "8", "-k", path, file])
    while not os.path.exists(path):
        time.sleep(0.05)
    return process, {"driver": "nbd", "server": {"type": "unix", "path": path}}

def go(action):
    for name in ("qmp", "source.sock", "target.sock"):
        if os.path.exists(name):
            os.unlink(name)
    for name in ("source", "target"):
        with open(name, "wb") as disk:
            disk.write(code.ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
    (own, own_node), (other, other_node) = nbd("source"), nbd("target")
    memory = socket.create_server(("127.0.0.1", 0))
    def sink():
        taken, _ = memory.accept()
        while taken.recv(1 << 16):
            pass
    threading.Thread(target=sink, daemon=True).start()
    qemu = Qemu("-blockdev", json.dumps({"driver": "raw", "node-name": "disk", "file": own_node}), "-device", "virtio-blk-pci,drive=disk,bootindex=1")
    time.sleep(2)  # its firmware
    qemu.do("blockdev-add", {**other_node, "node-name": "remote"})
    qemu.do("blockdev-mirror", {"job-id": "mirror", "device": "disk", "target": "remote", "sync": "full", "auto-dismiss": False,
        "on-target-error": action, "on-source-error": action})
    while qemu.do("query-block-jobs")[0]["status"] != "ready":
        time.sleep(0.05)
    other.send_signal(signal.SIGSTOP)
    time.sleep(0.2)
    qemu.do("migrate", {"uri": f"tcp:127.0.0.1:{memory.getsockname()[1]}"})
    time.sleep(2)  # the guest stands still, QEMU waits
    own.send_signal(signal.SIGSTOP)
    qemu.do("yank", {"instances": [{"type": "block-node", "node-name": "remote"}]}, "exec-oob")
    time.sleep(1)
    own.send_signal(signal.SIGCONT)
    while jobs := qemu.do("query-block-jobs"):
        ended = jobs[0]["status"] == "concluded"
        qemu.do("job-dismiss", {"id": "mirror"}) if ended else qemu.do("block-job-cancel", {"device": "mirror", "force": True})
        time.sleep(0.05)
    left = [node["drv"] for node in qemu.do("query-named-block-nodes", {"flat": True})].count("mirror_top")
    qemu.do("blockdev-add", {"driver": "null-co", "node-name": "another", "size": 512 + (1 << 20)})
    again = qemu.do("blockdev-mirror", {"job-id": "again", "device": "disk", "target": "another", "sync": "full"})
    for process in (qemu.process, own, other):
        process.kill()
        process.wait()
    print(f"on-target-error={action}: {left} nodes of the mirror are left; another one: {again or 'begins'}", flush=True)
    return left, again

seen = [go("report"), go("stop")]
sys.exit(0 if seen == [(1, "Need a root block node"), (0, {})] else 1)
PYTHON
if timeout 120 python3 mirror.py -L "$work/root/usr/share/qemu" -L "$work/root/usr/share/seabios"; then echo 'as described'; else echo 'CHANGED'; exit 1; fi
