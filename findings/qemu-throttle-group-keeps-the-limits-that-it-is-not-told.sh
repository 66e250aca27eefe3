#!/bin/bash
# Limits of a disk by block_set_io_throttle replace all that there were: what is not named limits no more. The same limits of a throttle group by qom-set
# (property `limits`) change only what is named: a burst or an operation size of before stays in force. Who moves
# from the one to the other, or sets both from one table, has to name each field there, 0 for none.
#
# Needs Debian 12 on amd64 with qemu-system-x86 1:7.2, python3. Makes a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
qemu-system-x86_64 --version | sed -n 1p
qemu-img create -q -f raw disk.raw 1M
cat >ask.py <<'PY'
import json, subprocess
machine = subprocess.Popen(['qemu-system-x86_64', '-accel', 'tcg', '-S', '-display', 'none', '-nodefaults', '-object', 'throttle-group,id=group',
    '-blockdev', 'driver=file,filename=disk.raw,node-name=disk', '-device', 'virtio-blk-pci,drive=disk,id=d', '-qmp', 'stdio'],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
def read():
    return json.loads(machine.stdout.readline())
def ask(command, **arguments):
    machine.stdin.write(json.dumps({'execute': command, 'arguments': arguments}) + '\n')
    machine.stdin.flush()
    while True:
        answer = read()
        if 'return' in answer or 'error' in answer:
            assert 'return' in answer, answer
            return answer['return']
read()
ask('qmp_capabilities')
rate = {'bps': 0, 'bps_rd': 0, 'bps_wr': 0, 'iops': 100, 'iops_rd': 0, 'iops_wr': 0}
device = '/machine/peripheral/d/virtio-backend'
ask('block_set_io_throttle', id=device, iops_max=400, **rate)
ask('block_set_io_throttle', id=device, **rate)
print('burst of the disk, not named again: ', ask('query-block')[0]['inserted'].get('iops_max', 0))
group = {'path': '/objects/group', 'property': 'limits'}
ask('qom-set', **group, value={'iops-total': 100, 'iops-total-max': 400})
ask('qom-set', **group, value={'iops-total': 100})
print('burst of the group, not named again:', ask('qom-get', **group)['iops-total-max'])
ask('quit')
PY
python3 ask.py | tee said
grep -q '^burst of the disk.* 0$' said
grep -q '^burst of the group.* 400$' said
