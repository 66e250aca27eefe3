/** The host's HTTPS service (mutual TLS over TCP; plain over a unix socket for control on the same machine). */
import type { Static } from 'typebox';
import type { HostId, ImageId, LayerId, ServerId } from '../ids.ts';
import { count, id, integer, list, nullable, object, oneOf, optional, text } from '../schema/type.ts';
import { hostLimits } from './limits.ts';

export const hostPaths = {
  /**
   * PUT ?format=raw|qcow2|…&maxBytes=n streams an image in (see {@link ImageUploadResult}) and replaces what is there; with a
   * Content-Length where the size is known. The host refuses with `too_large` (413) more than maxBytes, with `no_capacity` (507)
   * when its disk is full, with `invalid` (400) what is not what it claims or not safe; of a PUT that is refused or whose body
   * ends early nothing stays. GET streams it out (Range allowed), DELETE removes it; all idempotent.
   */
  image: (id: ImageId) => `/v1/images/${id}`,
  /**
   * GET, by who is on this machine: {@link ImageFile}, where its bytes are and stay as long as it is open. Who may not open it streams it;
   * the group that may read images may.
   */
  imageFile: (id: ImageId) => `/v1/images/${id}/file`,
  /** GET: {@link ImageDigests}; where they are not known yet the host is at work on them from now on. Idempotent. */
  imageDigests: (id: ImageId) => `/v1/images/${id}/digests`,
  /**
   * POST {@link CertificateRequest}: {@link SignedCertificate}, by the authority of the cloud; `not_found` (404) on a host that does not have it beside
   * it, `invalid` (400) where the request is none.
   */
  certificates: '/v1/certificates',
  /** DELETE: the file of a backup goes from the directory that this host has for them; idempotent. Who still builds on it, control knows. */
  backup: (name: string) => `/v1/backups/${encodeURIComponent(name)}`,
  /** GET: {@link ManageableFiles} of a pool of this host; an empty list where there is no such directory. */
  manageable: (pool: string) => `/v1/pools/${encodeURIComponent(pool)}/manageable`,
  /**
   * GET, by a host that the layer's document names (`copiedBy`): the bytes of its file, as they are at that moment. `not_found` (404) to any other,
   * `conflict` (409) as long as somebody writes to it or it is not as its document says.
   */
  layer: (id: LayerId) => `/v1/layers/${id}`,
  /** GET ?bytes=n: the last n bytes of the serial console's output, as they came from the guest. */
  consoleLog: (id: ServerId) => `/v1/servers/${id}/console-log`,
  /**
   * GET with `Upgrade: bothy-console`: 101, then the console's bytes both ways until either side ends; `conflict` (409) where no guest
   * with such a console runs. Of a serial console the last who asks has it; many may look at a screen (RFB 3.8, RFC 6143).
   */
  console: (id: ServerId, kind: ConsoleKind) => `/v1/servers/${id}/console/${kind}`,
  /** GET: {@link GuestDiagnostics} of the guest that runs; `conflict` (409) where none does. */
  diagnostics: (id: ServerId) => `/v1/servers/${id}/diagnostics`,
  /** POST: a non-maskable interrupt, by which a guest writes down why it hangs; `conflict` (409) where none runs. */
  nmi: (id: ServerId) => `/v1/servers/${id}/nmi`,
  /**
   * PUT {@link GuestPassword}: the guest's agent sets it. `conflict` (409) where no guest runs, or its agent does not answer or
   * refuses; the message says which.
   */
  password: (id: ServerId) => `/v1/servers/${id}/password`,
  /** GET: {@link HostWatts}; control's alone. A host of an older release does not know it (404). */
  watts: '/v1/watts',
  /** GET: {@link HostLoad}; control's alone. A host of an older release does not know it (404). */
  load: '/v1/load',
  /** GET: HostFacts and the state of every engine that the host drives, for `bothy doctor`. */
  health: '/v1/health',
} as const;

/** What can be talked to of a guest: its serial port, its screen with keyboard and pointer. */
export const consoleKinds = ['serial', 'vnc'] as const;
export type ConsoleKind = (typeof consoleKinds)[number];

/** The name of what follows the 101. */
export const consoleProtocol = 'bothy-console';

const hex = (length: number) => text(length, { pattern: `^[0-9a-f]{${length}}$` });

/** What the machine takes, by the energy counters of its processors; null: it has none, or it was not asked for a while. */
export const hostWatts = object({ watts: nullable(integer(0, 100_000)) });
export type HostWatts = Static<typeof hostWatts>;

/** What `uptime` says of the machine beside how long it is up. */
export const hostLoad = object({
  /** Sessions of people who have logged in. */
  users: integer(0, 1_000_000),
  /** Processes that run or wait, on average over one, five and fifteen minutes, in hundredths. */
  averages: list(integer(0, 2 ** 31 - 1), 3),
});
export type HostLoad = Static<typeof hostLoad>;

/** Answer to a PUT of an image. The host inspects the file (untrusted input) before it says yes. */
export const imageUploadResult = object({
  sizeBytes: count,
  /** Size of the disk that a guest sees; null where the bytes are none of the formats: kept, but no disk. */
  virtualSizeBytes: nullable(count),
  md5: hex(32),
  sha256: hex(64),
  sha512: hex(128),
});
export type ImageUploadResult = Static<typeof imageUploadResult>;

/**
 * Of an image that a host made of a disk: its bytes are on the disk. Nobody waits for digests, which take longer than the copy: control
 * asks for them afterwards ({@link imageDigests}). Where there are some they are of the bytes all the same.
 */
export const capturedImage = object({
  sizeBytes: count,
  virtualSizeBytes: nullable(count),
  sha256: optional(nullable(hex(64))),
  md5: optional(nullable(hex(32))),
  sha512: optional(nullable(hex(128))),
});
export type CapturedImage = Static<typeof capturedImage>;

export const imageFile = object({ path: text(4096, { pattern: '^/' }), sizeBytes: count });
export type ImageFile = Static<typeof imageFile>;

/** Null as long as the host is at work on them. */
export const imageDigests = object({
  sizeBytes: count,
  digests: nullable(object({ md5: hex(32), sha256: hex(64), sha512: hex(128) })),
});
export type ImageDigests = Static<typeof imageDigests>;

/** What a host's certificate is made of; `csr` is a PKCS #10 request in PEM, of which the key counts and nothing else. */
export const certificateRequest = object({
  hostId: id<HostId>(),
  addresses: list(text(45), 4),
  csr: text(8192),
});
export type CertificateRequest = Static<typeof certificateRequest>;

/** PEM texts: the host's certificate, and the root that it is under. */
export const signedCertificate = object({ certificate: text(16_384), ca: text(16_384) });
export type SignedCertificate = Static<typeof signedCertificate>;

/** What an administrator laid into the directory `manage` of a pool, to be made volumes of. */
export const manageableFiles = object({
  files: list(
    object({
      name: text(255),
      /** Of the file. */
      fileBytes: count,
      /** As a guest would see it; null where it can't be told. */
      sizeBytes: nullable(count),
      format: nullable(oneOf('raw', 'qcow2')),
      /** Why no volume is made of it; null: it is well, as far as its header tells. */
      problem: nullable(text(hostLimits.reasonLength)),
    }),
    1000,
  ),
});
export type ManageableFiles = Static<typeof manageableFiles>;

/** Body of every error that the host's HTTPS service answers. */
export interface HostError {
  error: { code: string; message: string };
}
