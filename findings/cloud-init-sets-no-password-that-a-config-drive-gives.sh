#!/bin/bash
# Nova writes the administrator's password of a new server into meta_data.json of its config drive (admin_pass), for the guest to set. cloud-init
# 22.4.2 reads the drive, has the password among its metadata, and gives its modules no word of it: nothing is set, and nothing is said in
# its log. With the same password in user data it calls chpasswd. (cloudbase-init, on Windows, sets it.)
#
# Needs Debian 12 with python3 and its package archive. Makes a temporary folder; cloud-init's commands are written down instead of run.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
chmod 755 "$work"
apt-get -qq download cloud-init=22.4.2-1+deb12u4 python3-yaml=6.0-3+b2 python3-configobj=5.0.8-1 python3-six=1.16.0-4 python3-jinja2=3.1.2-1+deb12u3 \
  python3-markupsafe=2.1.2-1+b1 python3-jsonschema=4.10.3-1 python3-attr=22.2.0-1 python3-pyrsistent=0.18.1-1+b3 python3-requests=2.28.1+dfsg-1 \
  python3-urllib3=1.26.12-1+deb12u4 python3-chardet=5.1.0+dfsg-2 python3-idna=3.3-1+deb12u1 python3-certifi=2022.9.24-1 python3-oauthlib=3.2.2-1 \
  python3-netifaces=0.11.0-2+b1 python3-jsonpatch=1.32-2 python3-json-pointer=2.3-2 2>/dev/null
for package in *.deb; do dpkg-deb -x "$package" root; done
mkdir -p seed/config_drive/openstack/latest
cat > seed/config_drive/openstack/latest/meta_data.json <<'EOF'
{"uuid": "6f1c5c0e-51f5-4b6a-9d0a-6b7d1f0c2a11", "hostname": "guest", "name": "guest", "launch_index": 0, "availability_zone": "nova", "admin_pass": "chosen-by-the-cloud"}
EOF
PYTHONPATH="$work/root/usr/lib/python3/dist-packages" /usr/bin/python3 - "$work" <<'EOF'
import logging, sys
from cloudinit import helpers, subp, util, version
from cloudinit.config import cc_set_passwords
from cloudinit.cloud import Cloud
from cloudinit.distros import fetch
from cloudinit.sources.DataSourceConfigDrive import DataSourceConfigDrive

work = sys.argv[1]
print('cloud-init', version.version_string())
paths = helpers.Paths({'cloud_dir': work + '/cloud', 'run_dir': work + '/run', 'templates_dir': work})
paths.seed_dir = work + '/seed'
base = util.load_yaml(util.load_file(work + '/root/etc/cloud/cloud.cfg'))
distro = fetch('debian')('debian', base['system_info'], paths)
source = DataSourceConfigDrive({}, distro, paths)
assert source.get_data(), 'the drive is not found'
print('admin_pass among its metadata: ', source.metadata['admin_pass'])

commands = []
subp.subp = lambda args, *rest, **more: commands.append((args, more.get('data') or (rest[0] if rest else None))) or subp.SubpResult('', '')
log = logging.getLogger('set-passwords')


def commands_with(user_data):
    commands.clear()
    config = util.mergemanydict([user_data, source.get_config_obj(), base])
    cc_set_passwords.handle('set-passwords', config, Cloud(source, paths, config, distro, None), log, [])
    return [command for command, _ in commands if command[0] == 'chpasswd']


drive = commands_with({})
user = commands_with({'password': 'chosen-by-the-user'})
print('calls for the drive alone:     ', drive)
print('calls with it in user data:    ', user)
sys.exit(0 if drive == [] and user == [['chpasswd']] else 1)
EOF
