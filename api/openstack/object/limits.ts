/** Swift's bounds (swift-constraints), where the store's own are wider for other dialects. */
import { objectStoreLimits } from '../../../control/object/index.ts';

export const swiftLimits = {
  ...objectStoreLimits,
  /** Of UTF-8. */
  metadataValueBytes: 256,
} as const;
