/** The guest image for live tests: built once and kept, uploaded to a cloud once. */
import { readFileSync } from 'node:fs';
import { testCache } from '../../cli/cloud/throw-away.ts';
import { ensureGuestImage as build } from '../../cli/demo/guest-image.ts';
import type { LiveCloud } from './live-cloud.ts';
import type { OpenStack } from './openstack.ts';
import { administrator } from './tenant.ts';

/** The file of the guest image. */
export async function ensureGuestImage(): Promise<string> {
  return (await build(testCache, { detail: () => {} })).file;
}

/** The image that every project of the cloud may boot, under the name `guest`. */
export async function ensurePublicGuest(cloud: LiveCloud): Promise<void> {
  const admin = await administrator(cloud);
  const { images } = await admin.must('GET', 'image', '/v2/images?name=guest&status=active');
  if (images.length === 0) await uploadGuest(admin, 'guest');
  admin.close();
}

/** The guest under another name, public too, with properties. */
export async function uploadGuest(admin: OpenStack, name: string, properties: object = {}): Promise<string> {
  const file = await ensureGuestImage();
  const image = await admin.must('POST', 'image', '/v2/images', {
    ...{ name, visibility: 'public', disk_format: 'qcow2', container_format: 'bare', ...properties },
  });
  const type = { 'content-type': 'application/octet-stream' };
  const answer = await admin.call('PUT', 'image', `/v2/images/${image.id}/file`, readFileSync(file), type);
  if (answer.status !== 204) throw new Error(`upload of the guest: ${answer.status} ${JSON.stringify(answer.body)}`);
  return image.id;
}
