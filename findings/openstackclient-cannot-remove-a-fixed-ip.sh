#!/bin/bash
# Debian 12's openstack client (python3-openstackclient 6.0.0) has `server remove fixed ip`, and it works with no cloud: it calls a method of its
# library's server that python3-novaclient 18.1.0 has no more. The client finds the server, prints the bare word "remove_fixed_ip", and ends with 1;
# nothing is sent. `server add fixed ip` goes through openstacksdk and works, so an address given by this client can't be taken back by it.
#
# Needs Debian 12 with python3 and its package archive. Makes a temporary folder; a server of a few lines on the loopback answers for Nova.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
chmod 755 "$work"
mkdir -p archives/partial
: >status
apt=(-o "Dir::State::status=$work/status" -o "Dir::Cache::archives=$work/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
  -o Debug::NoLocking=1 -o APT::Sandbox::User= -o APT::Install-Recommends=false)
apt-get "${apt[@]}" -qq -y --download-only install python3-openstackclient=6.0.0-4 python3-novaclient=2:18.1.0-3 >/dev/null 2>&1
# Those of Python alone: what is compiled into the interpreter's own packages is this machine's.
for package in archives/python3-*.deb; do dpkg-deb -x "$package" root; done
PYTHONPATH="$work/root/usr/lib/python3/dist-packages" /usr/bin/python3 - <<'EOF'
import json, sys, threading
from argparse import Namespace
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from importlib.metadata import version
from keystoneauth1 import noauth, session
from novaclient import client
from openstackclient.compute.v2.server import RemoveFixedIP

asked = []


class Nova(BaseHTTPRequestHandler):
    def do_GET(self):
        asked.append(('GET', self.path))
        body = json.dumps({'server': {'id': 'a', 'name': 'a', 'links': []}}).encode()
        self.send_response(200)
        self.send_header('content-type', 'application/json')
        self.send_header('content-length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        asked.append(('POST', self.path))
        self.send_response(202)
        self.send_header('content-length', '0')
        self.end_headers()

    def log_message(self, *args):
        pass


nova = HTTPServer(('127.0.0.1', 0), Nova)
threading.Thread(target=nova.serve_forever, daemon=True).start()
auth = noauth.NoAuth(endpoint='http://127.0.0.1:%d' % nova.server_port)
compute = client.Client('2.1', session=session.Session(auth=auth), endpoint_override=auth.endpoint)
app = SimpleNamespace(client_manager=SimpleNamespace(compute=compute))
command = RemoveFixedIP(app, None)
print('python-openstackclient', version('python-openstackclient'), 'with python-novaclient', version('python-novaclient'))
said = 'nothing'
try:
    command.take_action(Namespace(server='a', ip_address='192.0.2.7'))
except AttributeError as error:
    said = str(error)
print('it asked:', asked)
print('it said: ', said)
sys.exit(0 if said == 'remove_fixed_ip' and ('GET', '/servers/a') in asked and not [one for one in asked if one[0] == 'POST'] else 1)
EOF
