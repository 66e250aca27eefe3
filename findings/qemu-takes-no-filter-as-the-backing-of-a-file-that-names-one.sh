#!/bin/bash
# What a qcow2 builds on may be spelled out beside the name that is in its header, and the name is then not looked at: but only where the driver spelled
# out has a file of its own. Of a filter (throttle, copy-on-read) on such a driver QEMU 7.2 takes the name from the header as well, and refuses both.
# A node that is there already, by its name, is taken.
#
# Needs Debian 12 on amd64 with qemu-utils and qemu-system-common 1:7.2 (qemu-img, qemu-storage-daemon). Makes a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
qemu-storage-daemon --version | sed -n 1p
qemu-img create -q -f qcow2 base.qcow2 1M
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 named.qcow2
qemu-img create -q -f qcow2 nameless.qcow2 1M
base='{"driver":"qcow2","node-name":"base","file":{"driver":"file","filename":"base.qcow2"}}'
filter="{\"driver\":\"throttle\",\"node-name\":\"limit\",\"throttle-group\":\"group\",\"file\":$base}"
top() { echo "{\"driver\":\"qcow2\",\"node-name\":\"top\",\"file\":{\"driver\":\"file\",\"filename\":\"$1.qcow2\"},\"backing\":$2}"; }
# With its standard input as its monitor it ends at once, if it could open all.
try() {
  local nodes=()
  for node in "$@"; do nodes+=(--blockdev "$node"); done
  if qemu-storage-daemon --object throttle-group,id=group,x-iops-total=100 "${nodes[@]}" --chardev stdio,id=m --monitor chardev=m \
    <<<'{"execute":"qmp_capabilities"}{"execute":"quit"}' >/dev/null 2>said; then
    echo opened
  else
    sed 's/.*}: //' said
  fi
}
driver=$(try "$(top named "$base")")
nameless=$(try "$(top nameless "$filter")")
named=$(try "$(top named "$filter")")
by_name=$(try "$filter" "$(top named '"limit"')")
echo "a driver, of a file that names one:   $driver"
echo "a filter, of a file that names none:  $nameless"
echo "a filter, of a file that names one:   $named"
echo "a filter that is there, by its name:  $by_name"
[ "$driver $nameless $by_name" = 'opened opened opened' ]
[[ "$named" == *"Can't specify 'file' and 'filename' options at the same time"* ]]
