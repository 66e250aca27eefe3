/** Writes an empty layer: a header and tables at fixed places, and holes. Costs no process. */
import { open } from 'node:fs/promises';
import { qcow2Overlay } from '../image/qcow2.ts';
import type { LuksHeader } from './luks.ts';
import { type BuildsOn, backingName } from './names.ts';

export interface EmptyLayer {
  sizeBytes: number;
  buildsOn: BuildsOn;
  /** Of the file that it builds on. */
  format: 'raw' | 'qcow2';
  /** The header of its encryption. Absent: it is in the clear. */
  luks?: LuksHeader | undefined;
}

/** Over whatever the file was; its owner stays. */
export async function writeOverlay(
  path: string,
  { sizeBytes, buildsOn, format, luks }: EmptyLayer,
  { durable }: { durable: boolean },
): Promise<void> {
  const backing = buildsOn ? { path: backingName(buildsOn), format } : undefined;
  const { fileBytes, pieces } = qcow2Overlay({ sizeBytes, backing, luks });
  const file = await open(path, 'w', 0o600);
  try {
    // At once: each goes to a thread and back, and at which of them this process dies is all the same.
    const written = pieces.map(({ offset, bytes }) => file.write(bytes, 0, bytes.length, offset));
    await Promise.all([...written, file.truncate(fileBytes)]);
    if (durable) await file.datasync();
  } finally {
    await file.close();
  }
}
