#!/bin/bash
# Debian's kernel for clouds (linux-image-cloud-amd64, 6.1) is made for virtual machines, and QEMU's q35 has a SATA controller built in: a CD
# on it is where a machine of that type gets its CD by default, its config drive too. That kernel has the old IDE's driver and none for it: no module
# for the controller's PCI class, no /dev/sr0, not a word in the log. The same disc on virtio-scsi or virtio-blk is there.
#
# Needs Debian 12 on amd64 with qemu-system-x86_64 (emulated, half a minute), cpio, depmod, and its package archive. Makes a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
chmod 755 "$work"
k=6.1.0-56-cloud-amd64
apt-get -qq download linux-image-$k=6.1.192-2 busybox-static=1:1.35.0-4+deb12u1+b1 2>/dev/null
for package in *.deb; do dpkg-deb -x "$package" root; done
/sbin/depmod -b root $k 2>/dev/null
echo "Linux $k: $(grep -c . root/lib/modules/$k/modules.alias) aliases, $(grep -c bc01sc06i01 root/lib/modules/$k/modules.alias || true) for a SATA controller"
mkdir -p initrd/{bin,proc,sys,dev}
cp root/bin/busybox initrd/bin/
# What could drive a disc; the whole would take its time to unpack.
(cd root && find lib/modules/$k/modules.* lib/modules/$k/kernel/drivers/{ata,scsi,block,virtio,cdrom} lib/modules/$k/kernel/lib 2>/dev/null) |
  cpio -p -d --quiet -D root "$work/initrd"
# Loads what the devices of the machine ask for, bus after bus: what is loaded shows more of them. Then says which discs there are.
cat > initrd/init <<'EOF'
#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc p /proc; $b mount -t sysfs s /sys; $b mount -t devtmpfs d /dev
for bus in pci virtio scsi; do
  for alias in /sys/bus/$bus/devices/*/modalias; do [ -e "$alias" ] && $b modprobe "$($b cat "$alias")" 2>/dev/null; done
  $b sleep 1
done
for device in /sys/bus/pci/devices/*; do
  if [ "$($b cat $device/class)" = 0x010601 ]; then
    driver=none; [ -e $device/driver ] && driver=$($b basename "$($b readlink $device/driver)")
    echo "found: SATA controller, driver $driver"
  fi
done
for disc in /sys/class/block/sr* /sys/class/block/vd*; do [ -e "$disc" ] && echo "found: disc ${disc##*/}"; done
$b poweroff -f
EOF
chmod 755 initrd/init
(cd initrd && find . | cpio -o -H newc --quiet | gzip -1) >initrd.gz
truncate -s 1M disc.iso
look() { # DEVICE...: what a guest with the disc on that device finds
  timeout 300 qemu-system-x86_64 -machine q35 -accel tcg -cpu max -m 512 -nodefaults -display none -no-reboot -serial stdio \
    -kernel root/boot/vmlinuz-$k -initrd initrd.gz -append 'console=ttyS0 quiet no_timer_check cryptomgr.notests' \
    -drive file=disc.iso,format=raw,readonly=on,if=none,id=disc "$@" | tr -d '\r' | sed -n 's/^found: //p' | LC_ALL=C sort | paste -sd ';'
}
qemu-system-x86_64 --version | sed -n 1p
sata=$(look -device ide-cd,drive=disc)
scsi=$(look -device virtio-scsi-pci -device scsi-cd,drive=disc)
virtio=$(look -device virtio-blk-pci,drive=disc)
echo "CD on SATA:          $sata"
echo "CD on virtio-scsi:   $scsi"
echo "disc on virtio-blk:  $virtio"
[ "$(grep -c bc01sc06i01 root/lib/modules/$k/modules.alias)" = 0 ]
[ "$sata" = 'SATA controller, driver none' ]
[ "$scsi" = 'SATA controller, driver none;disc sr0' ]
[ "$virtio" = 'SATA controller, driver none;disc vda' ]
