#!/bin/bash
# QEMU has a file open, and asks for it by its name once more whenever what it may do with it changes: a base that was only read and is now committed to, a
# top that a snapshot covers. So a file that was renamed meanwhile (a pool that was put in order, say) reads and writes on, and the first commit fails, hours
# or weeks later; with its old name beside the new one (a hard link) it works. Only nodes that need no other rights keep the descriptor that they have.
#
# Needs Debian 12 on amd64 with qemu-utils and qemu-system-common 1:7.2 (qemu-img, qemu-storage-daemon), python3. Makes a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
qemu-storage-daemon --version | sed -n 1p
for name in base top; do qemu-img create -q -f qcow2 $name.qcow2 1M; done
cat >ask.py <<'PY'
import json, os, subprocess
daemon = subprocess.Popen(['qemu-storage-daemon', '--chardev', 'stdio,id=m', '--monitor', 'chardev=m'],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
def read():
    return json.loads(daemon.stdout.readline())
def ask(command, **arguments):
    named = {name.replace('_', '-'): value for name, value in arguments.items()}
    daemon.stdin.write(json.dumps({'execute': command, 'arguments': named}) + '\n')
    daemon.stdin.flush()
    while True:
        answer = read()
        if 'return' in answer or 'error' in answer:
            return answer
def commit(job):
    answer = ask('block-commit', job_id=job, device='top', base_node='base', auto_finalize=False, auto_dismiss=False)
    return answer['error']['desc'] if 'error' in answer else 'begun'
read()
ask('qmp_capabilities')
base = {'driver': 'qcow2', 'node-name': 'base', 'read-only': True, 'file': {'driver': 'file', 'filename': os.path.abspath('base.qcow2')}}
ask('blockdev-add', driver='qcow2', node_name='top', file={'driver': 'file', 'filename': os.path.abspath('top.qcow2')}, backing=base)
os.rename('base.qcow2', 'renamed.qcow2')
print('commit to a renamed file:   ', commit('first'))
os.link('renamed.qcow2', 'base.qcow2')
print('with its old name beside it:', commit('second'))
daemon.kill()
PY
python3 ask.py | tee said
grep -q '^commit to a renamed file: .*No such file' said
grep -q '^with its old name beside it: begun$' said
