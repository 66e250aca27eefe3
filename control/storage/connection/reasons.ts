/** What is refused of attachments by Cinder's own API (see contract/errors.ts). */

export interface ConnectionReasons {
  attachment_not_found: { id: string };
  /** It is a server's of this cloud: who wants to end it asks the compute service. */
  attachment_of_server: { id: string; server: string };
  /** A local volume is nobody's but a server's of its own host. */
  volume_not_exported: { id: string };
  volume_read_only: { id: string };
}

declare module '../../../contract/errors.ts' {
  interface Reasons extends ConnectionReasons {}
}
