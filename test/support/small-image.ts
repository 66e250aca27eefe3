/** Images for tests: the smallest that a host takes for what they claim to be. Nothing boots from them. */

/** A raw disk with a boot sector's mark, one MiB. */
export function rawImage(): Buffer {
  const disk = Buffer.alloc(1024 * 1024);
  disk.write('simulated', 0);
  disk[510] = 0x55;
  disk[511] = 0xaa;
  return disk;
}
