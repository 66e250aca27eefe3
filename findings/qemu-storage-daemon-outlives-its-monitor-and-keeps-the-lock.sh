#!/bin/bash
# qemu-storage-daemon 7.2.22 with its only monitor on its standard input does not end when that input ends: who is killed while the daemon
# works for them leaves it running, without anybody who could tell it to quit, and with its lock on the image. The next program that wants to
# write to the image is refused ("Failed to get \"write\" lock"). Whoever starts a daemon for one piece of work needs a lifeline of their own.
#
# Needs Debian 12 on amd64 and its package archive. Makes a temporary folder, starts one daemon there, and ends it.
set -euo pipefail
work=$(mktemp -d)
daemon=
trap '[ -z "$daemon" ] || kill -9 "$daemon" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
qemu=1:7.2+dfsg-7+deb12u18+b3
apt-get -qq download "qemu-system-common=$qemu" "qemu-utils=$qemu" \
  libaio1=0.3.113-4 libffi8=3.4.4-1 libglib2.0-0=2.74.6-2+deb12u9 libgmp10=2:6.2.1+dfsg1-1.1 \
  libgnutls30=3.7.9-2+deb12u7 libhogweed6=3.8.1-2 libidn2-0=2.3.3-1+b1 libnettle8=3.8.1-2 libnuma1=2.0.16-1 \
  libp11-kit0=0.24.1-2 libpcre2-8-0=10.42-1+deb12u2 libtasn1-6=4.19.0-2+deb12u1 libunistring2=1.0-2 \
  liburing2=2.3-3 libfuse3-3=3.14.0-4 libzstd1=1.5.4+dfsg2-5 \
  2>/dev/null
for package in *.deb; do dpkg-deb -x "$package" root; done
export PATH="$work/root/usr/bin:$PATH"
export LD_LIBRARY_PATH="$work/root/usr/lib/x86_64-linux-gnu:$work/root/lib/x86_64-linux-gnu"
qemu-storage-daemon --version | head -1

qemu-img create -q -f qcow2 image 1M
mkfifo words
qemu-storage-daemon --blockdev driver=qcow2,node-name=n,file.driver=file,file.filename=image \
  --nbd-server addr.type=unix,addr.path=nbd --export type=nbd,id=e,node-name=n,writable=on \
  --chardev stdio,id=monitor --monitor chardev=monitor <words >answers &
daemon=$!
exec 5>words
echo '{"execute":"qmp_capabilities"}' >&5
for _ in $(seq 100); do grep -q '"return"' answers && break; sleep 0.1; done
grep -q '"return"' answers
# The one that it worked for is gone.
exec 5>&-
for _ in $(seq 50); do kill -0 "$daemon" 2>/dev/null || break; sleep 0.1; done
kill -0 "$daemon" && echo 'five seconds after the end of its input the daemon runs on'
refusal=$(qemu-io -f qcow2 -c 'write 0 512' image 2>&1 || true)
echo "another program: $refusal"
case "$refusal" in *'Failed to get "write" lock'*) ;; *) exit 1 ;; esac
