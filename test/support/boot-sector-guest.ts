/**
 * A guest of 512 bytes for real QEMU: says that it runs on the serial port, then counts timer ticks there, in letters: each is the
 * next of the one before (BCD…OPABC…), from a byte of its memory. It knows no ACPI, so it is deaf to the power button.
 */

/** 16-bit code; assembled by hand, the listing is beside it. */
const code = [
  [0xfa], //                   cli
  [0x31, 0xc0], //             xor ax, ax
  [0x8e, 0xd8], //             mov ds, ax
  [0x8e, 0xd0], //             mov ss, ax
  [0xbc, 0x00, 0x7c], //       mov sp, 0x7c00
  [0xbe, 0x40, 0x7c], //       mov si, 0x7c40 (the text)
  [0xba, 0xf8, 0x03], //       mov dx, 0x3f8
  [0xac], //                   lodsb            <- 0x10
  [0x84, 0xc0], //             test al, al
  [0x74, 0x03], //             jz +3
  [0xee], //                   out dx, al
  [0xeb, 0xf8], //             jmp -8
  [0xfb], //                   sti
  [0xf4], //                   hlt              <- 0x19: until the next timer tick
  [0xa0, 0xf0, 0x7d], //       mov al, [0x7df0]
  [0xfe, 0xc0], //             inc al
  [0x24, 0x0f], //             and al, 15
  [0xa2, 0xf0, 0x7d], //       mov [0x7df0], al
  [0x04, 0x41], //             add al, 'A'
  [0xee], //                   out dx, al
  [0xeb, 0xf0], //             jmp -16
].flat();

const defaultText = 'guest is up 小屋\r\n';
export const bootText = defaultText;

/** What it has counted since its last start: true where each letter is the next of the one before, with no start between. */
export function countsOn(output: string): boolean {
  const letters = output.replaceAll('\0', '');
  return [...letters].every((letter, at) => {
    if (!/[A-P]/.test(letter)) return false;
    return at === 0 || (letters.charCodeAt(at - 1) - 65 + 1) % 16 === letter.charCodeAt(0) - 65;
  });
}

/** A raw disk of 1 MiB. */
export function bootSectorDisk(bootText = defaultText): Buffer {
  const disk = Buffer.alloc(1024 * 1024);
  Buffer.from(code).copy(disk);
  disk.write(bootText, 0x40);
  disk.writeUInt16LE(0xaa55, 510);
  return disk;
}

/** Never rests: cli, jmp to itself. A raw disk of 1 MiB. */
export function burningDisk(): Buffer {
  const disk = Buffer.alloc(1024 * 1024);
  Buffer.from([0xfa, 0xeb, 0xfe]).copy(disk);
  disk.writeUInt16LE(0xaa55, 510);
  return disk;
}

/**
 * Shows its text on its screen and says it on its serial port; then shows each key there and says it here, and says again what comes in
 * at the serial port. It looks with each tick of its timer.
 */
const typedBack = [
  [0x31, 0xc0], //             xor ax, ax
  [0x8e, 0xd8], //             mov ds, ax
  [0x8e, 0xd0], //             mov ss, ax
  [0x31, 0xdb], //             xor bx, bx (page 0)
  [0xfb], //                   sti
  [0xbc, 0x00, 0x7c], //       mov sp, 0x7c00
  [0xbe, 0x60, 0x7c], //       mov si, 0x7c60 (the text)
  [0xac], //                   lodsb            <- 0x0f
  [0x84, 0xc0], //             test al, al
  [0x74, 0x0a], //             jz 0x1e
  [0xb4, 0x0e], //             mov ah, 0x0e (teletype)
  [0xcd, 0x10], //             int 0x10
  [0xba, 0xf8, 0x03], //       mov dx, 0x3f8
  [0xee], //                   out dx, al
  [0xeb, 0xf1], //             jmp 0x0f
  [0xf4], //                   hlt              <- 0x1e
  [0xb4, 0x01], //             mov ah, 1 (is there a key)
  [0xcd, 0x16], //             int 0x16
  [0x74, 0x0c], //             jz 0x31
  [0x31, 0xc0], //             xor ax, ax (take it)
  [0xcd, 0x16], //             int 0x16
  [0xb4, 0x0e], //             mov ah, 0x0e
  [0xcd, 0x10], //             int 0x10
  [0xba, 0xf8, 0x03], //       mov dx, 0x3f8
  [0xee], //                   out dx, al
  [0xba, 0xfd, 0x03], //       mov dx, 0x3fd    <- 0x31
  [0xec], //                   in al, dx
  [0xa8, 0x01], //             test al, 1 (has a byte come)
  [0x74, 0xe5], //             jz 0x1e
  [0xba, 0xf8, 0x03], //       mov dx, 0x3f8
  [0xec], //                   in al, dx
  [0xee], //                   out dx, al
  [0xeb, 0xde], //             jmp 0x1e
].flat();

/** A raw disk of 1 MiB. */
export function typedBackDisk(bootText: string): Buffer {
  const disk = Buffer.alloc(1024 * 1024);
  Buffer.from(typedBack).copy(disk);
  disk.write(bootText, 0x60);
  disk.writeUInt16LE(0xaa55, 510);
  return disk;
}
