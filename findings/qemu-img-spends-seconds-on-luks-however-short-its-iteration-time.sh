#!/bin/bash
# `encrypt.iter-time` (milliseconds) sets how dear it is to try a LUKS passphrase, and one would take it for what making the image costs. It is not: QEMU
# 7.2 first measures how fast the processor is, until a measurement has taken a second, for the key slot and for the master key. Images with an iteration time
# of 10 and of 100 ms, ten times the iterations, both take more than a second of processor time to make, and about the same; of one opened later the time does count.
#
# Needs Debian 12 with qemu-utils 1:7.2. Makes a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
qemu-img --version | sed -n 1p
secret=(--object secret,id=s,data=abc)
declare -A spent rounds
for ms in 10 100; do
  TIMEFORMAT=%U
  spent[$ms]=$({ time qemu-img create -q "${secret[@]}" -f qcow2 -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=$ms disk 16M; } 2>&1)
  rounds[$ms]=$(qemu-img info "${secret[@]}" --image-opts driver=qcow2,encrypt.key-secret=s,file.filename=disk | awk '/master key iters/ { print $4 }')
  echo "iter-time $ms ms: ${spent[$ms]} s of processor time to make, ${rounds[$ms]} iterations for the master key"
done
awk -v a="${spent[10]}" -v b="${spent[100]}" -v few="${rounds[10]}" -v many="${rounds[100]}" \
  'BEGIN { exit !(a > 1 && b > 1 && b < 2 * a && many > 5 * few) }'
