/** Whether a server's disk builds on an image, or shall. Pure. */
import type { DesiredServer } from '../../contract/host/index.ts';
import type { ImageId } from '../../contract/ids.ts';
import type { ServerRecord } from './record.ts';

export function imageInUse(
  id: ImageId,
  tasks: Iterable<{ record: ServerRecord | undefined }>,
  documents: Iterable<DesiredServer>,
): boolean {
  for (const { record } of tasks) if (record?.disk?.imageId === id || record?.rescue?.imageId === id) return true;
  for (const { image, rescue, presence } of documents) {
    if (presence === 'present' && (image?.id === id || rescue?.image.id === id)) return true;
  }
  return false;
}
