#!/bin/bash
# block-commit names in the file above what it builds on from then on, with its format: where the base is a filter (a throttle before a slow disk, say) the
# header says that the format is `throttle`, and whoever opens the file by its header (qemu-img info --backing-chain, a guest by a plain -drive) is refused.
# change-backing-file, asked for the same, names a format that can be opened.
#
# Needs Debian 12 on amd64 with qemu-utils and qemu-system-common 1:7.2 (qemu-img, qemu-storage-daemon), python3. Makes a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
qemu-storage-daemon --version | sed -n 1p
qemu-img create -q -f qcow2 base.qcow2 1M
for name in middle top; do qemu-img create -q -f qcow2 $name.qcow2 1M; done
cat >ask.py <<'PY'
import json, subprocess
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
            assert 'return' in answer, answer
            return answer['return']
def node(name, backing):
    return {'driver': 'qcow2', 'node-name': name, 'file': {'driver': 'file', 'filename': name + '.qcow2'}, 'backing': backing}
read()
ask('qmp_capabilities')
limited = {'driver': 'throttle', 'node-name': 'limit', 'throttle-group': 'group', 'file': node('base', None)}
ask('blockdev-add', **node('top', node('middle', limited)))
ask('block-commit', job_id='job', device='top', top_node='middle', base_node='limit', backing_file='base.qcow2')
while True:
    event = read()
    if event.get('event') == 'BLOCK_JOB_COMPLETED':
        assert 'error' not in event['data'], event
        break
def said():
    text = subprocess.run(['qemu-img', 'info', '-U', '--output=json', 'top.qcow2'], capture_output=True, text=True).stdout
    return json.loads(text)['backing-filename-format']
print('after block-commit:        ', said())
follow = subprocess.run(['qemu-img', 'info', '-U', '--backing-chain', 'top.qcow2'], capture_output=True, text=True)
print('opened by its header:      ', 'yes' if follow.returncode == 0 else follow.stderr.strip().splitlines()[-1])
ask('change-backing-file', device='top', image_node_name='top', backing_file='base.qcow2')
print('after change-backing-file: ', said())
ask('quit')
PY
python3 ask.py | tee said
grep -q '^after block-commit: *throttle$' said
! grep -q '^opened by its header: *yes$' said
grep -q '^after change-backing-file: *qcow2$' said
