/** Which of the images here control does not account for. Pure. */
import type { ImageId } from '../../contract/ids.ts';
import type { DesiredState } from '../desired/state.ts';

type Named = Pick<DesiredState, 'images' | 'servers' | 'quarantined' | 'layers' | 'quarantinedLayers'>;

/**
 * Uploads that it does not list. What it has had made of a server or a layer it hears of by their captures, and lists it then: until
 * that is here it is no stranger. What something in quarantine was to be made into is one: this control does not know of it.
 */
export function unlistedImages(state: Named, uploads: readonly ImageId[]): ImageId[] {
  const unlisted = uploads.filter((id) => !state.images.has(id));
  if (unlisted.length === 0) return unlisted;
  const asked = new Set<ImageId>();
  for (const { id, captures } of state.servers.values()) {
    if (!state.quarantined.has(id)) for (const { imageId } of captures ?? []) asked.add(imageId);
  }
  for (const { id, captures } of state.layers.values()) {
    if (!state.quarantinedLayers.has(id)) for (const { imageId } of captures ?? []) asked.add(imageId);
  }
  return unlisted.filter((id) => !asked.has(id));
}
