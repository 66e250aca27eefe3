/** What qemu-img and the storage daemon do to layers, without them: headers are what they would be, contents are nothing. */
import { copyFile, open } from 'node:fs/promises';
import { qcow2Overlay } from '../../host/image/qcow2.ts';
import { type BuildsOn, backingName } from '../../host/volume/names.ts';
import type { LayerTools } from '../../host/volume/tools.ts';

async function write(path: string, sizeBytes: number, buildsOn: BuildsOn): Promise<void> {
  const backing = buildsOn ? { path: backingName(buildsOn), format: 'qcow2' as const } : undefined;
  const { fileBytes, pieces } = qcow2Overlay({ sizeBytes, backing });
  await using file = await open(path, 'r+');
  for (const { offset, bytes } of pieces) {
    // A name that was longer goes.
    const whole = Buffer.concat([bytes, Buffer.alloc(1024)]);
    await file.write(whole, 0, whole.length, offset);
  }
  await file.truncate(Math.max(fileBytes, (await file.stat()).size));
}

export const headersOnly: LayerTools = {
  stream: ({ top }, onto) => write(top.path, top.sizeBytes, onto),
  sink: ({ top }, onto) => write(top.path, top.sizeBytes, { kind: 'layer', id: onto }),
  async grow({ top, lower, base }, sizeBytes) {
    const [next] = lower;
    const image = base && ({ kind: 'image', id: base.imageId } as const);
    await write(top.path, sizeBytes, next ? { kind: 'layer', id: next.layerId } : image);
  },
  convert: ({ top }, to) => write(to, top.sizeBytes, null),
  backUp: ({ top }, to) => write(to, top.sizeBytes, null),
  restore: ([first], to) => copyFile(first!.path, to),
};
