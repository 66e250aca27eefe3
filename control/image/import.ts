/** What may be imported, how, and into which image. Pure. */
import { CloudError } from '../../contract/errors.ts';
import type { ImageRow } from './tables.ts';
import { requireFormats } from './upload.ts';
import type { ImageStatus, ImportMethod } from './values.ts';

const startsFrom = {
  'glance-direct': 'uploading',
  'web-download': 'queued',
  'glance-download': 'queued',
  'copy-image': 'active',
} as const satisfies Record<ImportMethod, ImageStatus>;

/** @throws CloudError `conflict`, `invalid`: the image is not in the state, or has not the formats, that the method asks for */
export function requireImportable(image: ImageRow, method: ImportMethod): void {
  const wanted = startsFrom[method];
  // An upload to the staging place may still run.
  if (image.status !== wanted || (method === 'glance-direct' && image.upload_id !== null)) {
    throw new CloudError('conflict', 'image_import_state', { method, status: image.status, wanted });
  }
  requireFormats(image);
}

/** Properties that go along with another image's bytes; others are its owner's own affair. */
export const importedProperties = (properties: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(properties).filter(
      ([name]) => /^(hw_|trait:)/.test(name) || ['os_distro', 'os_secure_boot', 'os_type'].includes(name),
    ),
  );
