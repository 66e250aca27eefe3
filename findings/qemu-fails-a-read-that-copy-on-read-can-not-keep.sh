#!/bin/bash
# A read through QEMU's copy-on-read, whose data is there and was read well from below, fails where the layer above has no room to keep it: with "No space left on
# device", as the reader's own error. So a cache that is full breaks reads that would work without it; and a disk that stops its guest for want of room
# (`werror=enospc`) reports these to the guest as errors of the disk, unless `rerror=enospc` is said too. One would guess that what can't be kept is
# merely not kept.
#
# Needs Debian 12 on amd64 with qemu-utils 1:7.2 (qemu-img, qemu-io); the lack of room is made by QEMU's own blkdebug. Makes a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
qemu-img --version | sed -n 1p
qemu-img create -q -f qcow2 below.qcow2 16M
qemu-io -c 'write -q -P 7 0 1M' below.qcow2
qemu-img create -q -f qcow2 -b below.qcow2 -F qcow2 above.qcow2 16M
above='"driver":"qcow2","file":{"driver":"blkdebug","inject-error":[{"event":"write_aio","errno":28}],"image":{"driver":"file","filename":"above.qcow2"}}'
echo "below: $(qemu-io -c 'read -P 7 0 64k' below.qcow2 2>&1 | grep '^read')" | tee said
echo "through: $(qemu-io -c 'read -P 7 0 64k' "json:{$above}" 2>&1 | grep '^read')" | tee -a said
echo "kept: $(qemu-io -c 'read -P 7 0 64k' "json:{\"driver\":\"copy-on-read\",\"file\":{$above}}" 2>&1 | grep '^read')" | tee -a said
grep -q '^below: read 65536/65536' said
grep -q '^through: read 65536/65536' said
grep -qx 'kept: read failed: No space left on device' said
