#!/bin/bash
# openstacksdk 0.101.0 (and with it `openstack image create --import`) does not ask GET /v2/info/import whether an image service can
# import. It reads the header OpenStack-image-import-methods of the answer to POST /v2/images, which the API reference has as optional
# information. Where that is missing it refuses, after it has made the image: an image in the state queued is left behind.
#
# Needs Debian 12, python3 and its package archive. Makes a temporary folder and one process that listens on loopback, and ends it.
set -euo pipefail
work=$(mktemp -d)
trap '[ -e "$work/pid" ] && kill "$(cat "$work/pid")" 2>/dev/null; rm -rf "$work"' EXIT
cd "$work"
apt-get -qq download python3-openstacksdk=0.101.0-2 python3-keystoneauth1=5.0.0-2 python3-os-service-types=1.7.0-2 \
  python3-stevedore=4.0.2-2 python3-pbr=5.10.0-2 python3-iso8601=1.0.2-1 python3-requests=2.28.1+dfsg-1 \
  python3-requestsexceptions=1.4.0-3 python3-munch=2.5.0-2 python3-jmespath=1.0.1-1 python3-jsonpatch=1.32-2 \
  python3-json-pointer=2.3-2 python3-dogpile.cache=1.1.8-2 python3-decorator=5.1.1-3 python3-netifaces=0.11.0-2+b1 \
  python3-appdirs=1.4.4-3 python3-yaml=6.0-3+b2 python3-cryptography=38.0.4-3+deb12u1 python3-cffi-backend=1.15.1-5+b1 \
  python3-urllib3=1.26.12-1+deb12u4 python3-certifi=2022.9.24-1 python3-chardet=5.1.0+dfsg-2 python3-charset-normalizer=3.0.1-2 \
  python3-idna=3.3-1+deb12u1 python3-six=1.16.0-4 python3-typing-extensions=4.4.0-1 python3-pkg-resources=66.1.1-1+deb12u2 2>/dev/null
for package in *.deb; do dpkg-deb -x "$package" root; done
cat > fake.py <<'P'
# Keystone's and Glance's answers, as little of them as a client needs. It can import, and says so where the API has it.
import http.server, json, sys
header = sys.argv[1] == 'with'
image = {'id': '11111111-1111-4111-8111-111111111111', 'status': 'queued', 'name': 'x', 'disk_format': 'raw', 'container_format': 'bare'}
class Handler(http.server.BaseHTTPRequestHandler):
    def say(self, status, body, **headers):
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {'Content-Type': 'application/json', 'Content-Length': str(len(data)), **headers}.items():
            self.send_header(name.replace('_', '-'), value)
        self.end_headers()
        self.wfile.write(data)
    def handle_any(self):
        print(self.command, self.path, flush=True)
        if self.headers.get('Transfer-Encoding') == 'chunked':
            while (size := int(self.rfile.readline(), 16)): self.rfile.read(size + 2)
            self.rfile.readline()
        else: self.rfile.read(int(self.headers.get('Content-Length', 0)))
        base = 'http://%s' % self.headers['Host']
        if self.path == '/v3/auth/tokens':
            token = {'expires_at': '2099-01-01T00:00:00.000000Z', 'methods': ['password'], 'user': {'id': 'u', 'name': 'u', 'domain': {'id': 'default', 'name': 'd'}},
                     'project': {'id': 'p', 'name': 'p', 'domain': {'id': 'default', 'name': 'd'}}, 'roles': [], 'issued_at': '2026-01-01T00:00:00.000000Z',
                     'catalog': [{'type': 'image', 'name': 'glance', 'id': 'g', 'endpoints': [{'id': 'e', 'interface': 'public', 'region': 'r', 'region_id': 'r', 'url': base + '/image'}]}]}
            return self.say(201, {'token': token}, X_Subject_Token='t')
        if self.path == '/v2/info/import' or self.path == '/image/v2/info/import':
            return self.say(200, {'import-methods': {'type': 'array', 'value': ['glance-direct']}})
        if self.path.rstrip('/') in ('/v3', ''):
            version = {'id': 'v3.14', 'status': 'stable', 'links': [{'rel': 'self', 'href': base + '/v3/'}]}
            return self.say(200, {'version': version})
        if self.path.rstrip('/') in ('/image', '/image/v2'):
            return self.say(200, {'versions': [{'id': 'v2.12', 'status': 'CURRENT', 'links': [{'rel': 'self', 'href': base + '/image/v2/'}]}]})
        if self.command == 'POST' and self.path == '/image/v2/images':
            return self.say(201, image, **({'OpenStack_image_import_methods': 'glance-direct'} if header else {}))
        if self.command == 'GET' and self.path.startswith('/image/v2/images'):
            return self.say(200, {**image, 'images': []})
        self.say(202, {})
    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any
    def log_message(self, *_): pass
server = http.server.HTTPServer(('127.0.0.1', 0), Handler)
open('port', 'w').write(str(server.server_port))
server.serve_forever()
P
cat > client.py <<'P'
import sys
sys.path.insert(0, 'root/usr/lib/python3/dist-packages')
import openstack
print('openstacksdk', openstack.version.__version__)
cloud = openstack.connect(auth_url='http://127.0.0.1:%s/v3' % sys.argv[1], username='u', password='p', project_name='p', user_domain_id='default', project_domain_id='default', region_name='r')
try:
    cloud.image.create_image('x', filename='bytes', disk_format='raw', container_format='bare', use_import=True, validate_checksum=False)
    print('imported')
except Exception as error: print('refused:', error)
P
head -c 100 /dev/zero > bytes
run() {
  rm -f port
  python3 fake.py "$1" > "requests-$1" & echo $! > pid
  for _ in $(seq 100); do [ -s port ] && break; sleep 0.1; done
  python3 -S client.py "$(cat port)" 2>&1 | tail -2
  kill "$(cat pid)"; rm -f pid
}
echo 'without the header:'; without=$(run without); echo "$without"; grep -c '/stage\|/import' requests-without || true
echo 'with the header:'; with=$(run with); echo "$with"; grep '/stage\|/import' requests-with
case "$without" in *'refused: Importing image was requested but the cloud does not support the image import method.'*) ;; *) exit 1 ;; esac
grep -q '^POST /image/v2/images$' requests-without
! grep -q 'info/import' requests-without
case "$with" in *imported*) ;; *) exit 1 ;; esac
grep -q '^PUT .*/stage$' requests-with && grep -q '^POST .*/import$' requests-with
