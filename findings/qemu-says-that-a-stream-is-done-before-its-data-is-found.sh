#!/bin/bash
# At the end of block-stream QEMU writes into the file's header that it builds on nothing any more, at once, and which clusters it has copied only with the next
# flush. Killed in between (kill -9, the machine's out-of-memory killer), it leaves a file that says that it is whole and reads as zeros; and whoever has
# removed what it built on, as the header allows, has lost it. With auto-finalize off the job waits before its end: a flush then (told anew what it is by
# blockdev-reopen, a node flushes first; `qemu-io NODE flush` in the human monitor does it too) keeps the content.
#
# Needs Debian 12 on amd64 with qemu-utils and qemu-system-common 1:7.2 (qemu-img, qemu-io, qemu-storage-daemon), python3. Makes a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
qemu-storage-daemon --version | sed -n 1p
cat >ask.py <<'PY'
import json, subprocess, sys
def file(name):
    return {'driver': 'file', 'filename': name + '.qcow2'}
node = {'driver': 'qcow2', 'node-name': 'top', 'file': file('top'),
    'backing': {'driver': 'qcow2', 'node-name': 'low', 'read-only': True, 'file': {**file('low'), 'read-only': True}, 'backing': None}}
daemon = subprocess.Popen(['qemu-storage-daemon', '--blockdev', json.dumps(node), '--chardev', 'stdio,id=m', '--monitor', 'chardev=m'],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
def ask(command, **arguments):
    named = {name.replace('_', '-'): value for name, value in arguments.items()}
    daemon.stdin.write(json.dumps({'execute': command, 'arguments': named}) + '\n')
    daemon.stdin.flush()
    while True:
        answer = json.loads(daemon.stdout.readline())
        if 'return' in answer or 'error' in answer:
            assert 'return' in answer, answer
            return answer['return']
def until(status):
    while (job := ask('query-jobs')[0])['status'] != status:
        assert 'error' not in job, job
daemon.stdout.readline()
ask('qmp_capabilities')
ask('block-stream', job_id='job', device='top', auto_finalize=False, auto_dismiss=False)
until('pending')
if sys.argv[1] == 'flushed':
    ask('blockdev-reopen', options=[node])
ask('job-finalize', id='job')
until('concluded')
daemon.kill()
daemon.wait()
PY
for how in plain flushed; do
  rm -f ./*.qcow2
  qemu-img create -q -f qcow2 low.qcow2 16M
  qemu-io -c 'write -q -P 7 0 1M' low.qcow2
  qemu-img create -q -u -f qcow2 -b low.qcow2 -F qcow2 top.qcow2 16M
  python3 ask.py $how
  below=$(qemu-img info top.qcow2 | grep -c '^backing file:' || true)
  content=$(qemu-io -r -c 'read -q -P 7 0 1M' top.qcow2 >/dev/null 2>&1 && echo there || echo lost)
  echo "$how: names what it builds on: $below, content: $content"
done | tee said
grep -qx 'plain: names what it builds on: 0, content: lost' said
grep -qx 'flushed: names what it builds on: 0, content: there' said
