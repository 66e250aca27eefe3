/** What is refused of attachments by Cinder's own API (see contract/errors.ts). */

export interface ConnectionReasons {
  attachment_not_found: { id: string };
  /** It is a server's of this cloud: who wants to end it asks the compute service. */
  attachment_of_server: { id: string; server: string };
  /** No machine outside gets it: `why`. */
  volume_not_exported: {
    id: string;
    why: 'encrypted' | 'cache' | 'cluster' | 'no_portal' | 'host_away' | 'ports' | 'late';
  };
  /** What the other machine says of itself. */
  connector_lacks: { what: 'initiator' };
  connector_initiator_unfit: { initiator: string };
  /** It is another machine's, or was until just now. */
  attachment_connected: { id: string };
  volume_read_only: { id: string };
}

declare module '../../../contract/errors.ts' {
  interface Reasons extends ConnectionReasons {}
}
