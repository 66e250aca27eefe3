#!/bin/sh
# Software: qemu-system-x86 1:7.2+dfsg-7+deb12u18+b3 (QEMU 7.2.22) of Debian 12.
# Expected: the migration capability return-path makes a source wait for its target's word that it has loaded everything, so that `completed` and `failed` tell who has the guest.
# Behaviour: `completed` does. But where the word is lost (the connection is reset after the target has loaded everything) the source says `failed` and lets its guest run again by
#   itself, while the target has all of it and runs it as soon as it is told `cont`: two copies run, and no command keeps the source from it. Where the word is
#   late the source waits for ever. Without the capability the same reset leaves the source `completed` and its guest still.
# Here: a guest goes from one QEMU to another through a relay that passes nothing back, and resets the source's connection when the target closes its own.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir root
apt-get download 'qemu-system-x86=1:7.2+dfsg-7+deb12u18+b3' 'qemu-system-common=1:7.2+dfsg-7+deb12u18+b3' 'qemu-system-data=1:7.2+dfsg-7+deb12u18' 'seabios=1.16.2-1' >/dev/null 2>&1
for file in ./*.deb; do dpkg-deb -x "$file" root; done
export PATH="$work/root/usr/bin:$PATH" QEMU_MODULE_DIR="$work/root/usr/lib/x86_64-linux-gnu/qemu"
qemu-system-x86_64 --version | head -n 1
case $(qemu-system-x86_64 --version) in *7.2.22*) ;; *) echo 'another version'; exit 1 ;; esac
cat >migrate.py <<'PYTHON'
import json, os, socket, struct, subprocess, sys, threading, time

class Qemu:
    def __init__(self, name, *more):
        self.process = subprocess.Popen(["qemu-system-x86_64", *sys.argv[1:], "-nodefaults", "-no-user-config", "-display", "none",
            "-machine", "q35", "-accel", "tcg", "-m", "64M", "-qmp", f"unix:{name}.qmp,server=on,wait=off", *more])
        for _ in range(200):
            try:
                client = socket.socket(socket.AF_UNIX)
                client.connect(f"{name}.qmp")
                break
            except OSError:
                time.sleep(0.05)
        self.stream = client.makefile("rw")
        self.stream.readline()
        self.do("qmp_capabilities")

    def do(self, command, **arguments):
        self.stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.stream.flush()
        while True:
            answer = json.loads(self.stream.readline())
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise Exception(answer["error"])

    def state(self):
        return self.do("query-status")["status"]

    def end(self):
        self.process.kill()
        self.process.wait()

def relay(listening, port, reset):
    ours, _ = listening.accept()
    theirs = socket.create_connection(("127.0.0.1", port))
    def back():
        try:
            while theirs.recv(1 << 16):
                pass
        except OSError:
            pass
        if reset:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            ours.shutdown(socket.SHUT_RD)
    answers = threading.Thread(target=back, daemon=True)
    answers.start()
    try:
        while data := ours.recv(1 << 16):
            theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    answers.join()
    if reset:
        ours.close()
    else:
        time.sleep(60)

def go(return_path, reset):
    for name in ("source.qmp", "target.qmp"):
        if os.path.exists(name):
            os.unlink(name)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    listening = socket.create_server(("127.0.0.1", 0))
    source, target = Qemu("source"), Qemu("target", "-incoming", "defer", "-S")
    for qemu in (source, target):
        qemu.do("migrate-set-capabilities", capabilities=[{"capability": "return-path", "state": return_path}])
    target.do("migrate-incoming", uri=f"tcp:127.0.0.1:{port}")
    threading.Thread(target=relay, args=(listening, port, reset), daemon=True).start()
    source.do("migrate", uri=f"tcp:127.0.0.1:{listening.getsockname()[1]}")
    while target.state() == "inmigrate":
        time.sleep(0.02)
    target.do("cont")
    time.sleep(2)
    said = source.do("query-migrate")["status"], source.state(), target.state()
    for qemu in (source, target):
        qemu.end()
    print(f"return-path {'on' if return_path else 'off'}, {'reset' if reset else 'silent'}: migration {said[0]}, source {said[1]}, target {said[2]}", flush=True)
    return said

seen = [go(True, True), go(True, False), go(False, True)]
sys.exit(0 if seen == [("failed", "running", "running"), ("active", "finish-migrate", "running"), ("completed", "postmigrate", "running")] else 1)
PYTHON
if python3 migrate.py -L "$work/root/usr/share/qemu" -L "$work/root/usr/share/seabios"; then echo 'as described'; else echo 'CHANGED'; exit 1; fi
