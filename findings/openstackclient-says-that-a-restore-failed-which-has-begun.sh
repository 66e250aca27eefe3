#!/bin/bash
# Debian 12's openstack client (python3-openstackclient 6.0.0) restores a volume's backup, and fails on the answer that it gets: it
# unpacks two things from the one resource that python3-cinderclient 9.1.0 makes of it. The request was served, a volume is being restored, and
# the client says an error and ends with 1. Who runs it again gets a second volume.
#
# Needs Debian 12 with python3 and its package archive. Makes a temporary folder; a server of a few lines on the loopback answers for Cinder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
chmod 755 "$work"
mkdir -p archives/partial
: >status
apt=(-o "Dir::State::status=$work/status" -o "Dir::Cache::archives=$work/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
  -o Debug::NoLocking=1 -o APT::Sandbox::User= -o APT::Install-Recommends=false)
apt-get "${apt[@]}" -qq -y --download-only install python3-openstackclient=6.0.0-4 python3-cinderclient=1:9.1.0-3 >/dev/null 2>&1
# Those of Python alone: what is compiled into the interpreter's own packages is this machine's.
for package in archives/python3-*.deb; do dpkg-deb -x "$package" root; done
PYTHONPATH="$work/root/usr/lib/python3/dist-packages" /usr/bin/python3 - <<'EOF'
import json, sys, threading
from argparse import Namespace
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from types import SimpleNamespace
from cinderclient import client
from keystoneauth1 import noauth, session
from openstackclient.volume.v2.volume_backup import RestoreVolumeBackup

asked = []


class Cinder(BaseHTTPRequestHandler):
    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header('content-type', 'application/json')
        self.send_header('content-length', str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if self.path == '/backups/b':
            return self.answer(200, {'backup': {'id': 'b', 'name': 'b', 'links': []}})
        self.answer(404, {'itemNotFound': {'code': 404, 'message': 'no such thing'}})

    def do_POST(self):
        self.rfile.read(int(self.headers.get('content-length', 0)))
        asked.append(self.path)
        self.answer(202, {'restore': {'backup_id': 'b', 'volume_id': 'v', 'volume_name': 'restored'}})

    def log_message(self, *args):
        pass


cinder = HTTPServer(('127.0.0.1', 0), Cinder)
threading.Thread(target=cinder.serve_forever, daemon=True).start()
auth = noauth.NoAuth(endpoint='http://127.0.0.1:%d' % cinder.server_port)
volume = client.Client('3.0', session=session.Session(auth=auth), endpoint_override=auth.endpoint)
command = RestoreVolumeBackup(SimpleNamespace(client_manager=SimpleNamespace(volume=volume)), None)
print('python-openstackclient', version('python-openstackclient'), 'with python-cinderclient', version('python-cinderclient'))
said = 'nothing'
try:
    # As the command does: what take_action answers are the columns and their values.
    columns, data = command.take_action(Namespace(backup='b', volume=None, force=False))
except TypeError as error:
    said = str(error)
print('it sent:', asked)
print('it said:', said)
sys.exit(0 if asked == ['/backups/b/restore'] and said == 'cannot unpack non-iterable VolumeBackupsRestore object' else 1)
EOF
