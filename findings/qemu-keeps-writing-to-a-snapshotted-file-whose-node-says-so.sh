#!/bin/bash
# blockdev-snapshot turns the node that it covers read only, and with it the file node below, so that the file may be closed to writers from
# then on. Not where the file node itself was given `read-only: false`, which is its default: that stays, QEMU opens the file to write
# again with the next snapshot, and where it may not any more that snapshot fails, on a file that nobody writes to.
#
# Needs root, and Debian 12 on amd64 with qemu-system-x86 1:7.2 and qemu-utils, python3, setpriv. Makes a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
chmod 755 "$work"
qemu-system-x86_64 --version | sed -n 1p
cat >ask.py <<'PY'
import json, subprocess, sys
said = {'read-only': False} if sys.argv[1] == 'said' else {}
qemu = subprocess.Popen(
    ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'qemu-system-x86_64', '-M', 'none', '-nodefaults', '-display', 'none', '-qmp', 'stdio'],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
def ask(command, **arguments):
    qemu.stdin.write(json.dumps({'execute': command, 'arguments': arguments}) + '\n')
    qemu.stdin.flush()
    while True:
        answer = json.loads(qemu.stdout.readline())
        if 'return' in answer or 'error' in answer:
            return answer
qemu.stdout.readline()
ask('qmp_capabilities')
def add(name, **more):
    file = {'driver': 'file', 'filename': name + '.qcow2', **said}
    answer = ask('blockdev-add', **{'driver': 'qcow2', 'node-name': name, 'read-only': False, 'file': file, **more})
    assert 'return' in answer, answer
def snapshot(below, above):
    add(above, backing=None)
    return ask('blockdev-snapshot', node=below, overlay=above).get('error', {}).get('desc', 'done')
add('one')
first = snapshot('one', 'two')
# Nobody writes to it any more: readable, and no more than that.
subprocess.run(['chown', 'root', 'one.qcow2'], check=True)
subprocess.run(['chmod', '444', 'one.qcow2'], check=True)
second = snapshot('two', 'three')
ask('quit')
print(f'{first}; {second}'.replace(sys.argv[2] + '/', ''))
PY
try() {
  for name in one two three; do
    rm -f $name.qcow2
    qemu-img create -q -f qcow2 $name.qcow2 1M
    chown 65534 $name.qcow2
  done
  python3 ask.py "$1" "$work"
}
unsaid=$(try unsaid)
said=$(try said)
echo "file node that says nothing:        $unsaid"
echo "file node with read-only: false:    $said"
[ "$unsaid" = 'done; done' ]
[ "$said" = "done; Could not open 'one.qcow2': Permission denied" ]
