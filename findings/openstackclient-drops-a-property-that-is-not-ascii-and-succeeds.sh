#!/bin/bash
# Debian 12's openstack client (python3-openstackclient 6.0.0): `object set --property` of a value that is not ASCII sends nothing of it and succeeds.
# An error is logged and the exit code is 0; of several properties the others are sent, and as a POST replaces all metadata of an object, what the
# dropped one was before is gone too. Swift takes UTF-8 in metadata, and python3-swiftclient sends it. The same code is behind `container set`,
# `container create` and `object store account set`.
#
# Needs Debian 12 with python3 and its package archive. Makes a temporary folder; a server of a few lines on the loopback answers for Swift.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
chmod 755 "$work"
mkdir -p archives/partial
: >status
apt=(-o "Dir::State::status=$work/status" -o "Dir::Cache::archives=$work/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
  -o Debug::NoLocking=1 -o APT::Sandbox::User= -o APT::Install-Recommends=false)
apt-get "${apt[@]}" -qq -y --download-only install python3-openstackclient=6.0.0-4 >/dev/null 2>&1
# Those of Python alone: what is compiled into the interpreter's own packages is this machine's.
for package in archives/python3-*.deb; do dpkg-deb -x "$package" root; done
PYTHONPATH="$work/root/usr/lib/python3/dist-packages" /usr/bin/python3 - <<'EOP'
import sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from types import SimpleNamespace
from keystoneauth1 import noauth, session
from openstackclient.api.object_store_v1 import APIv1
from openstackclient.object.v1.object import SetObject

sent = []


class Swift(BaseHTTPRequestHandler):
    def do_POST(self):
        sent.append({name: value for name, value in self.headers.items() if name.lower().startswith('x-object-meta-')})
        self.send_response(202)
        self.send_header('content-length', '0')
        self.end_headers()

    def log_message(self, *args):
        pass


swift = HTTPServer(('127.0.0.1', 0), Swift)
threading.Thread(target=swift.serve_forever, daemon=True).start()
endpoint = 'http://127.0.0.1:%d' % swift.server_port
store = APIv1(session=session.Session(auth=noauth.NoAuth(endpoint=endpoint)), endpoint=endpoint)
app = SimpleNamespace(client_manager=SimpleNamespace(object_store=store))
command = SetObject(app, None)
print('python-openstackclient', version('python-openstackclient'))


def run(*words):
    sent.clear()
    command.take_action(command.get_parser('object set').parse_args(words))
    print(' '.join(words), '-> sent', sent)
    return list(sent)


alone = run('box', 'hut', '--property', 'Colour=blå')
both = run('box', 'hut', '--property', 'Colour=blå', '--property', 'Size=small')
plain = run('box', 'hut', '--property', 'Colour=blue')
if alone == [] and both == [{'X-Object-Meta-Size': 'small'}] and plain == [{'X-Object-Meta-Colour': 'blue'}]:
    print('as found: no exception, and what is not ASCII is not sent')
    sys.exit(0)
print('the behaviour has changed')
sys.exit(1)
EOP
