#!/bin/bash
# block-commit opens its base to write and takes that back at its end. Where the base is a filter (a throttle before a slow disk, say) that works if the
# filter was given the options of its file, which QEMU then opens to write with it. A filter that was put on a node that was there already, by its name, is
# opened to write and the node is not: the commit is refused, "Block node is read-only", though the node may be opened to write (blockdev-reopen).
#
# Needs Debian 12 on amd64 with qemu-utils and qemu-system-common 1:7.2 (qemu-img, qemu-storage-daemon), python3. Makes a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
qemu-storage-daemon --version | sed -n 1p
cat >ask.py <<'PY'
import json, subprocess, sys
for name in ['base', 'middle', 'top']:
    subprocess.run(['qemu-img', 'create', '-q', '-f', 'qcow2', name + '.qcow2', '1M'], check=True)
daemon = subprocess.Popen(['qemu-storage-daemon', '--object', 'throttle-group,id=group,x-iops-total=100', '--chardev', 'stdio,id=m',
    '--monitor', 'chardev=m'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
def read():
    return json.loads(daemon.stdout.readline())
def ask(command, **arguments):
    named = {name.replace('_', '-'): value for name, value in arguments.items()}
    daemon.stdin.write(json.dumps({'execute': command, 'arguments': named}) + '\n')
    daemon.stdin.flush()
    while True:
        answer = read()
        if 'return' in answer or 'error' in answer:
            return answer.get('error', {}).get('desc', 'taken')
def node(name, backing):
    return {'driver': 'qcow2', 'node-name': name, 'file': {'driver': 'file', 'node-name': name + '-file', 'filename': name + '.qcow2'}, 'backing': backing}
read()
ask('qmp_capabilities')
base = {**node('base', None), **({'read-only': True} if sys.argv[1] != 'options' else {})}
if sys.argv[1] != 'options':
    ask('blockdev-add', **base)
    base = 'base'
limit = {'driver': 'throttle', 'node-name': 'limit', 'throttle-group': 'group', 'read-only': True, 'file': base}
assert ask('blockdev-add', **limit) == 'taken'
for name, backing in [('middle', 'limit'), ('top', 'middle')]:
    assert ask('blockdev-add', **node(name, backing)) == 'taken'
if sys.argv[1] == 'reopened':
    options = {'driver': 'qcow2', 'node-name': 'base', 'read-only': False, 'file': 'base-file', 'backing': None}
    assert ask('blockdev-reopen', options=[options]) == 'taken'
print(ask('block-commit', job_id='job', device='top', top_node='middle', base_node='limit'))
ask('quit')
PY
options=$(python3 ask.py options)
name=$(python3 ask.py name)
reopened=$(python3 ask.py reopened)
echo "filter given its file's options:     $options"
echo "filter on a node by its name:        $name"
echo "and the node opened to write before: $reopened"
[ "$options" = taken ]
[ "$name" = 'Block node is read-only' ]
[ "$reopened" = taken ]
