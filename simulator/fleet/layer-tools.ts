/** What qemu-img and the storage daemon do to layers, without them: headers are what they would be, contents are nothing. */
import { copyFile, open } from 'node:fs/promises';
import { qcow2Overlay } from '../../host/image/qcow2.ts';
import { type ChainKey, secretObjects } from '../../host/volume/chain.ts';
import { luksHeader } from '../../host/volume/luks.ts';
import { type BuildsOn, backingName } from '../../host/volume/names.ts';
import type { LayerTools } from '../../host/volume/tools.ts';

async function write(path: string, sizeBytes: number, buildsOn: BuildsOn, key?: ChainKey): Promise<void> {
  const backing = buildsOn ? { path: backingName(buildsOn), format: 'qcow2' as const } : undefined;
  const luks = key && luksHeader({ keySizeBits: 256 }, key.passphrase!);
  const { fileBytes, pieces } = qcow2Overlay({ sizeBytes, backing, luks });
  await using file = await open(path, 'r+');
  for (const { offset, bytes } of pieces) {
    // A name that was longer goes.
    const whole = Buffer.concat([bytes, Buffer.alloc(1024)]);
    await file.write(whole, 0, whole.length, offset);
  }
  await file.truncate(Math.max(fileBytes, (await file.stat()).size));
}

export const headersOnly: LayerTools = {
  async stream(chain, onto) {
    secretObjects(chain);
    await write(chain.top.path, chain.top.sizeBytes, onto, chain.top.key);
  },
  sink: ({ top }, onto) => write(top.path, top.sizeBytes, { kind: 'layer', id: onto }, top.key),
  async grow({ top, lower, base }, sizeBytes) {
    const [next] = lower;
    const image = base && ({ kind: 'image', id: base.imageId } as const);
    await write(top.path, sizeBytes, next ? { kind: 'layer', id: next.layerId } : image, top.key);
  },
  convert: ({ top }, to) => write(to, top.sizeBytes, null),
  backUp: ({ top }, to, { sealed }) => write(to, top.sizeBytes, null, sealed?.key),
  restore: ([first], to) => copyFile(first!.path, to),
  takeOver: ({ sizeBytes }, to) => write(to, sizeBytes, null),
};
