/** What `/info` tells that this service does. Each name is a promise: what is refused is not among them. */
import { swiftLimits as limits } from './limits.ts';
import { maxManifestBytes } from './slo.ts';
import { digests } from './temp-url.ts';

/** All bytes are kept by one rule. */
export const storagePolicy = 'default';

export const bulkLimits = {
  deletes: 10_000,
  deletesFailed: 1000,
  containers: 10_000,
  extractionsFailed: 1000,
} as const;

export const capabilities = {
  swift: {
    version: '2.35.1',
    strict_cors_mode: true,
    policies: [{ name: storagePolicy, aliases: storagePolicy, default: true }],
    allow_account_management: false,
    account_autocreate: true,
    max_file_size: limits.objectBytes,
    max_meta_name_length: limits.metadataNameBytes,
    max_meta_value_length: limits.metadataValueBytes,
    max_meta_count: limits.metadataCount,
    max_meta_overall_size: limits.metadataWholeBytes,
    max_header_size: 8192,
    max_object_name_length: limits.objectNameBytes,
    container_listing_limit: limits.listing,
    account_listing_limit: limits.listing,
    max_account_name_length: 256,
    max_container_name_length: limits.containerNameBytes,
    extra_header_count: 0,
  },
  account_quotas: {},
  bulk_delete: { max_deletes_per_request: bulkLimits.deletes, max_failed_deletes: bulkLimits.deletesFailed },
  bulk_upload: {
    max_containers_per_extraction: bulkLimits.containers,
    max_failed_extractions: bulkLimits.extractionsFailed,
  },
  container_quotas: {},
  dlo: { max_segments: limits.sloSegments },
  formpost: { allowed_digests: [...digests], deprecated_digests: [] },
  object_versioning: {},
  slo: {
    max_manifest_segments: limits.sloSegments,
    max_manifest_size: maxManifestBytes,
    min_segment_size: 1,
    allow_async_delete: false,
  },
  staticweb: {},
  symlink: { symloop_max: limits.symlinkHops, static_links: true },
  tempurl: {
    methods: ['GET', 'HEAD', 'PUT', 'POST', 'DELETE'],
    incoming_allow_headers: [],
    incoming_remove_headers: ['x-timestamp'],
    outgoing_allow_headers: ['x-object-meta-public-*'],
    outgoing_remove_headers: ['x-object-meta-*'],
    allowed_digests: [...digests],
    deprecated_digests: [],
  },
  versioned_writes: { allowed_flags: ['x-versions-location', 'x-history-location'] },
} as const;
