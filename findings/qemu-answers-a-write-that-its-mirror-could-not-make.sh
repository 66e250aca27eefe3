#!/bin/bash
# QEMU 7.2: a mirror with copy-mode write-blocking answers its guest's write when it is in both places. Where the target answers with an error (its disk is full) the guest is told that
# the write is done all the same, whatever on-target-error says, and the job's state is all that tells (block/mirror.c, bdrv_mirror_top_do_write() does not look at what
# do_sync_target_write() came to). Nor does a flush of the guest reach the target (bdrv_mirror_top_flush()). Who needs the second copy has to see to it that nothing comes back as an error.
#
# Needs qemu-system-x86_64 and python3. Makes a temporary folder, runs a machine without anything in it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
truncate -s 16M source.raw target.raw
cat > ask.py <<'PY'
import json, socket, subprocess, sys, time
machine = subprocess.Popen(['qemu-system-x86_64', '-machine', 'none', '-nodefaults', '-display', 'none', '-qmp', 'unix:qmp,server=on,wait=off',
    '-blockdev', 'driver=raw,node-name=source,file.driver=file,file.filename=source.raw',
    # Its disk is full from 1 MiB on.
    '-blockdev', json.dumps({'driver': 'raw', 'node-name': 'target', 'file': {'driver': 'blkdebug', 'image': {'driver': 'file', 'filename': 'target.raw'},
        'inject-error': [{'event': 'none', 'iotype': 'write', 'errno': 28, 'sector': 2048}]}})])
for _ in range(100):
    try:
        monitor = socket.socket(socket.AF_UNIX); monitor.connect('qmp'); break
    except OSError:
        time.sleep(0.05)
lines = monitor.makefile('rw')
json.loads(lines.readline())
def ask(command, **arguments):
    lines.write(json.dumps({'execute': command, 'arguments': arguments}) + '\n'); lines.flush()
    while True:
        answer = json.loads(lines.readline())
        if 'return' in answer: return answer['return']
        if 'error' in answer: raise SystemExit(answer['error']['desc'])
ask('qmp_capabilities')
print('QEMU', ask('query-version')['qemu'])
failed = False
for policy in ('report', 'stop', 'enospc'):
    ask('blockdev-mirror', **{'job-id': policy, 'device': 'source', 'target': 'target', 'sync': 'none', 'copy-mode': 'write-blocking',
        'on-target-error': policy, 'filter-node-name': 'guest', 'auto-dismiss': False})
    while ask('query-block-jobs')[0]['status'] != 'ready': pass
    said = ask('human-monitor-command', **{'command-line': 'qemu-io guest "write -P 7 1M 4k"'})
    [job] = ask('query-block-jobs')
    print(f"on-target-error={policy}: the guest is told {said.strip() or 'that it is written'!r}; the job is {job['status']}, its target {job['io-status']}")
    failed |= 'rror' in said
    if job['status'] != 'concluded': ask('block-job-cancel', device=policy, force=True)
    while ask('query-block-jobs')[0]['status'] != 'concluded': pass
    ask('job-dismiss', id=policy)
ask('quit')
machine.wait()
read = lambda name: open(name, 'rb').read()[2 ** 20:2 ** 20 + 4096]
print('in the source:', read('source.raw')[:4], 'in the target:', read('target.raw')[:4])
sys.exit(0 if not failed and read('source.raw') != read('target.raw') else 1)
PY
python3 ask.py
