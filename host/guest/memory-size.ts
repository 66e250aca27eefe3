/**
 * How much memory a guest gets, as QEMU's -m takes it.
 *
 * Under TCG QEMU before 9.0 forgets, where it takes over which pages were written, to have the guest's next write to them noted again: of a guest that is copied
 * while it runs, a host gets old pages, and its kernel dies of that now and then
 * (findings/qemu-loses-what-a-guest-writes-on-its-way-under-tcg.sh). It does so only for memory that is whole words of its bitmap, 64 pages each; any
 * other is looked at page by page, as it should be. So there (layout 3) a guest has 8 KiB less than it was promised, which is also what -m is counted in.
 * With KVM the kernel notes writes. Pure.
 */
const lessKiB = 8;

export function memorySize(guest: {
  accelerator: 'kvm' | 'tcg';
  machine: { layout: number };
  memoryMiB: number;
}): string {
  const { accelerator, machine, memoryMiB } = guest;
  const losesPages = accelerator === 'tcg' && machine.layout >= 3;
  return losesPages ? `${memoryMiB * 1024 - lessKiB}K` : `${memoryMiB}M`;
}
