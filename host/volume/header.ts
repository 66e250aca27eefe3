/**
 * The header of a layer's file, read by ourselves: what it builds on and how large it is. A guest's QEMU may have written the
 * file, so nothing in it is believed: a name that is none of ours, or more than a header should have, is refused. And the name written of a copy from
 * another host. Owns nothing.
 */
import { type FileHandle, open } from 'node:fs/promises';
import type { DesiredLayer } from '../../contract/host/index.ts';
import { readPiece } from '../files.ts';
import { HostFault } from '../host-error.ts';
import { backingOf, luksMethod, luksPlaceOf, qcow2Magic } from '../image/qcow2.ts';
import { isLuksHead, luksHeadBytes } from './luks.ts';
import { type BuildsOn, backingName, parseBackingName, sameBase } from './names.ts';

export interface LayerHeader {
  sizeBytes: number;
  buildsOn: BuildsOn;
}

/** A layer's header with its extensions and the name in it. QEMU writes some hundred bytes. */
const headBytes = 4096;

/** Its content lies in another file, whose name QEMU would follow. */
const dataFile = 4n;

/**
 * @param bases all that it may build on
 * @param encrypted whether it shall be; undefined: it does not matter
 * @throws HostFault where it is no layer of ours, or says that it builds on something else
 */
export async function readHeader(
  file: FileHandle,
  bases: readonly BuildsOn[],
  encrypted?: boolean,
): Promise<LayerHeader> {
  const head = await readPiece(file, 0, headBytes);
  if (head.length < 104 || !head.subarray(0, 4).equals(qcow2Magic) || head.readUInt32BE(4) !== 3) throw damaged();
  const size = head.readBigUInt64BE(24);
  const name = backingOf(head);
  const buildsOn = name === undefined ? undefined : parseBackingName(name);
  if (buildsOn === undefined || size > BigInt(Number.MAX_SAFE_INTEGER)) throw damaged();
  if (head.readBigUInt64BE(72) & dataFile) throw damaged();
  if (!bases.some((base) => sameBase(base, buildsOn))) throw damaged();
  if (encrypted !== undefined && !(await isEncryptedAs(file, head, encrypted))) throw damaged();
  return { sizeBytes: Number(size), buildsOn };
}

/**
 * A copy of another host's layer says what it builds on here: of the same kind, so that the name is as long. Nobody else has the file.
 * @throws HostFault `layer_damaged` where it is no layer of ours, or of another kind
 */
export async function nameBase(
  path: string,
  base: BuildsOn,
  { sizeBytes, encryption }: Pick<DesiredLayer, 'sizeBytes' | 'encryption'>,
): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const head = await readPiece(file, 0, headBytes);
    const name = head.length < 104 ? undefined : backingOf(head);
    const buildsOn = name === undefined ? undefined : parseBackingName(name);
    if (buildsOn === undefined || buildsOn?.kind !== base?.kind) throw damaged();
    if (base) await file.write(backingName(base), Number(head.readBigUInt64BE(8)));
    const header = await readHeader(file, [base], encryption !== undefined);
    if (header.sizeBytes > sizeBytes) throw damaged();
  } finally {
    await file.close();
  }
}

/** What shall be encrypted is never taken for what is not, nor the other way. */
async function isEncryptedAs(file: FileHandle, head: Buffer, encrypted: boolean): Promise<boolean> {
  if (!encrypted) return head.readUInt32BE(32) === 0;
  const place = luksPlaceOf(head);
  if (head.readUInt32BE(32) !== luksMethod || place === undefined) return false;
  return isLuksHead(await readPiece(file, place, luksHeadBytes));
}

const damaged = () =>
  new HostFault('layer_damaged', 'the file of the layer is damaged or none of ours', { permanent: true });
