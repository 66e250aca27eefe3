#!/usr/bin/python3
# User data of cloud-init.live.test.ts: what a guest finds in itself, told on its serial port.
import base64, glob, hashlib, json, os, socket, subprocess, time, urllib.request

expected = 'EXPECTED'
password = 'PASSWORD'


def run(*command):
    return subprocess.run(command, capture_output=True, text=True).stdout


def read(path):
    try:
        with open(path, encoding='utf-8') as file:
            return file.read()
    except OSError:
        return None


def addresses():
    found = {}
    for card in json.loads(run('ip', '-j', 'addr')):
        if card['link_type'] == 'ether':
            own = [a['local'] for a in card['addr_info'] if a['scope'] == 'global' and not a.get('tentative')]
            found[card['ifname']] = {'mac': card['address'], 'mtu': card['mtu'], 'addresses': own}
    return found


def routes(name):
    text = run('ip', 'route', 'show', 'dev', name) + run('ip', '-6', 'route', 'show', 'dev', name)
    return [' '.join(line.split()[:3]) for line in text.splitlines()]


# An address that a router or DHCPv6 gives may come after the network counts as up.
deadline = time.monotonic() + 60
while time.monotonic() < deadline:
    if set(expected) <= {a for card in addresses().values() for a in card['addresses']}:
        break
    time.sleep(0.5)

posted = None
if password:
    where = 'http://169.254.169.254/openstack/latest/password'
    posted = urllib.request.urlopen(urllib.request.Request(where, data=password.encode(), method='POST'), timeout=10).status

data = json.loads(read('/run/cloud-init/instance-data-sensitive.json'))
result = json.loads(read('/run/cloud-init/status.json'))['v1']
with open('/var/lib/cloud/instance/user-data.txt', 'rb') as file:
    user_data = hashlib.sha256(file.read()).hexdigest()
disk = os.statvfs('/')
cards = addresses()
facts = {
    'hostname': socket.gethostname(),
    'source': data['v1']['subplatform'],
    'cards': {cards[name]['mac']: {**cards[name], 'routes': routes(name)} for name in sorted(cards)},
    'netplan': ''.join(read(path) for path in glob.glob('/etc/netplan/*')),
    'userData': user_data,
    'files': {path: read(path) for path in glob.glob('/etc/of-the-*')},
    'keys': read('/home/debian/.ssh/authorized_keys') or '',
    'adminPass': data['ds']['meta_data'].get('admin_pass'),
    'posted': posted,
    'disks': sorted(os.path.basename(path) for path in glob.glob('/dev/disk/by-id/*')),
    'rootGiB': disk.f_blocks * disk.f_frsize / 2**30,
    'failed': run('systemctl', '--failed', '--plain', '--no-legend').splitlines(),
    'errors': [error for stage in result.values() if isinstance(stage, dict) for error in stage.get('errors', [])],
    'uptime': float(read('/proc/uptime').split()[0]),
}
text = base64.b64encode(json.dumps(facts).encode()).decode()
parts = [text[at:at + 64] for at in range(0, len(text), 64)]
# Others write to the same port: what comes whole the second time counts as well.
for _ in range(3):
    with open('/dev/ttyS0', 'w') as port:
        for index, part in enumerate(parts):
            port.write(f'<fact {index}/{len(parts)} {part}>\n')
            port.flush()
