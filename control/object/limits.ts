/** The bounds of what callers may give, Swift's (swift.conf, `swift-constraints`), once for all dialects. */
export const objectStoreLimits = {
  /** Of UTF-8. */
  containerNameBytes: 256,
  objectNameBytes: 1024,
  metadataCount: 90,
  metadataNameBytes: 128,
  /** S3's, of all of them together; Swift's own (256) is its dialect's to hold. */
  metadataValueBytes: 2048,
  /** Of all names and values. */
  metadataWholeBytes: 4096,
  contentTypeBytes: 1024,
  /** Of one PUT: 5 GiB, as Swift and S3 have it; larger ones come in parts. */
  objectBytes: 5 * 1024 ** 3,
  listing: 10_000,
  sloSegments: 1000,
  uploadParts: 10_000,
  /** Of manifests that lead to manifests. */
  manifestDepth: 10,
  symlinkHops: 2,
  aclBytes: 8192,
  settingsBytes: 256 * 1024,
  tags: 50,
} as const;

const { containerNameBytes, objectNameBytes } = objectStoreLimits;

/** What neither UTF-8 nor PostgreSQL can hold is no name. */
const storable = (text: string): boolean => text.isWellFormed() && !text.includes('\0');

export const isContainerName = (name: string): boolean =>
  name !== '' && !name.includes('/') && storable(name) && Buffer.byteLength(name) <= containerNameBytes;

export const isObjectName = (name: string): boolean =>
  name !== '' && storable(name) && Buffer.byteLength(name) <= objectNameBytes;

export const isStorable = storable;

/** A name that S3 takes for a bucket (its rules for general purpose buckets): also one label or more of a host's name. */
export const isBucketName = (name: string): boolean =>
  /^[a-z0-9]([a-z0-9.-]{1,61})[a-z0-9]$/.test(name) &&
  !/\.\.|\.-|-\./.test(name) &&
  !/^\d{1,3}(\.\d{1,3}){3}$/.test(name) &&
  !/^(xn--|sthree-|amzn-s3-demo-)|(-s3alias|--ol-s3|\.mrap|--x-s3)$/.test(name);
