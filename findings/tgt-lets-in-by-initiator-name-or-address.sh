#!/bin/sh
# tgt 1.0.85 of Debian 12: a target that is bound to an initiator's name (-Q) and to an address (-I) lets in who has either. One would
# think that both have to be right. Seen: an initiator of another name, from the bound address, logs in; without the address it does not.
# Needs root (tgtd's socket) and Debian 12's package sources; listens on 127.0.0.1:23290. Ends with 0 as long as it is so.
set -eu
work=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -9 "$pid"; rm -rf "$work"' EXIT
cd "$work"
apt-get download -q tgt=1:1.0.85-1+deb12u1 libiscsi-bin=1.19.0-3 libiscsi7=1.19.0-3 >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" x; done
export LD_LIBRARY_PATH="$work/x/usr/lib/x86_64-linux-gnu" TGT_IPC_SOCKET="$work/tgt"
x/usr/sbin/tgtd -f -C 7 --iscsi portal=127.0.0.1:23290 >tgtd.log 2>&1 &
pid=$!
for _ in $(seq 100); do [ -S "$work/tgt.7" ] && break; sleep 0.1; done
order() { x/usr/sbin/tgtadm -C 7 --lld iscsi "$@"; }
truncate -s 16M disk
order --op new --mode target --tid 1 -T iqn.2026-01.org.example:disk
order --op new --mode logicalunit --tid 1 --lun 1 -b "$work/disk"
order --op bind --mode target --tid 1 -Q iqn.2026-01.org.example:right
login() { x/usr/bin/iscsi-inq -i "iqn.2026-01.org.example:$1" iscsi://127.0.0.1:23290/iqn.2026-01.org.example:disk/1 >/dev/null 2>&1; }
login right || { echo "the right name is refused"; exit 1; }
if login wrong; then echo "another name is let in without an address"; exit 1; fi
order --op bind --mode target --tid 1 -I 127.0.0.1
login wrong || { echo "changed: another name from the bound address is refused"; exit 1; }
echo "tgt 1.0.85: another name is refused while only a name is bound, and let in as soon as its address is bound too"
