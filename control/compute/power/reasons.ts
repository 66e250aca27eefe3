/** What is refused about hosts' power (see contract/errors.ts). Of the native dialect alone. */
import type { BmcErrorKind } from '../../../protocols/bmc/index.ts';

export interface PowerReasons {
  host_bmc_not_found: { id: string };
  /** Only https://NAME[:PORT] and ipmi://NAME[:PORT] are spoken with; `scheme` is what was asked for. */
  bmc_address_unserved: { scheme: string };
  /** Nobody has said by what it is known; it presents this certificate. */
  bmc_trust_missing: { url: string; fingerprint256: string };
  /** A password is told to no other address than the one that it was said for. */
  bmc_password_missing: { host: string };
  /** IPMI has no such thing. */
  bmc_field_of_redfish: { field: string };
  /** In IPMI it has at most so many bytes. */
  bmc_field_too_long: { field: string; most: number };
  bmc_ca_malformed: { why: string };
  /** Its UUID says that the machine behind it is another one: `uuid`. */
  bmc_of_another_machine: { host: string; uuid: string };
  /** Nothing shows that the machine behind it is the host. */
  bmc_unproven: { host: string };
  /** Its servers would end. */
  host_power_off_with_servers: { host: string; servers: number };
  /** Servers might come to it before it is off. */
  host_power_off_open: { host: string };
  bmc_unusable: { kind: BmcErrorKind; why: string };
}

declare module '../../../contract/errors.ts' {
  interface Reasons extends PowerReasons {}
}
