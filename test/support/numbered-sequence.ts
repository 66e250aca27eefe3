/** Words for a guest's shell that write a numbered sequence into a disk, for live tests of what is on it afterwards (`sequenceIn`). */

/** Begins one, which goes on until its device is gone (what is written to its name then is a file's) or all are told to end. */
export const begin = (device: string): string =>
  `(i=1; while [ ! -e /tmp/enough ]; do printf %04096d $i | dd of=/dev/${device} bs=4096 seek=$((i % 64)) conv=notrunc,fsync 2>/dev/null && [ -b /dev/${device} ] || break; echo $i >/tmp/at-${device}; i=$((i + 1)); done; [ -b /dev/${device} ] || rm -f /dev/${device}; touch /tmp/ended-${device}) </dev/null >/dev/null 2>&1 &`;

/** All are told to end, and have; else it fails and says of each that has not what the guest's kernel knows. */
export const end = (devices: readonly string[]): string =>
  `touch /tmp/enough; n=0; for d in ${devices.join(' ')}; do until [ -e /tmp/ended-$d ] || [ $n = 500 ]; do sleep 0.1; n=$((n + 1)); done; done; [ $n -lt 500 ] && exit 0; for d in ${devices.join(' ')}; do [ -e /tmp/ended-$d ] || echo "$d goes on: $(ls -l /dev/$d), at $(cat /tmp/at-$d), in flight $(cat /sys/block/$d/inflight)"; done; for p in /proc/[0-9]*; do grep -q "State:.D" $p/status && cat $p/comm $p/stack; done; dmesg | tail -20; exit 1`;

/** By its serial, which is the volume's. The kernel shows that a moment before there is a device to write to. */
export const deviceOf = (volumeId: string): string =>
  `n=0; while [ $n -lt 300 ]; do for d in /sys/block/vd*; do [ "$(cat $d/serial)" = ${volumeId.slice(0, 20)} ] && [ -b /dev/$(basename $d) ] && basename $d && exit 0; done; n=$((n + 1)); sleep 0.1; done; exit 1`;

/** Its name in the guest. A boot may still say something on the same port. */
export const deviceIn = async (shell: { run(command: string): Promise<string> }, volumeId: string): Promise<string> =>
  /^vd[a-z]$/m.exec(await shell.run(deviceOf(volumeId)))![0];
