/** Sentences for refusals of what ports are made into: forwardings. See sentences.ts. */
import type { SentenceTable } from '../../../contract/errors.ts';
import type { NetworkReasons } from '../../../control/network/reasons.ts';

type Some = Partial<SentenceTable<NetworkReasons>>;

/** BadRequest: 'Bad port_forwarding request: ….' */
export const badPortForwardings = {
  port_forwarding_without_port: ({ side }) => `${side}_port or ${side}_port_range must be given`,
  port_forwarding_ranges_differ:
    'Invalid ranges of internal and/or external ports. The relation between internal and external ports must be N-N or 1-N',
  port_forwarding_collision: ({ side, existing, given }) =>
    `There is a port collision with the ${side}_port_range. The following ranges collide: ${existing} and ${given}`,
  port_forwarding_too_wide: ({ maximum }) => `A floating IP can forward at most ${maximum} external ports`,
  port_forwarding_port_without_ipv4: ({ port }) =>
    `Requested internal port ${port} must allocate an IPv4 address at least`,
  port_forwarding_address_of_another_port: ({ ip, port, fixed_ips }) =>
    `Requested internal IP address ${ip} is not suitable for internal neutron port ${port}, as its fixed_ips are ${fixed_ips.join(', ')}`,
  port_forwarding_unreachable: ({ id, network, subnet, port }) =>
    `External network ${network} is not reachable from subnet ${subnet}. Cannot set Port forwarding for port ${port} with Floating IP ${id}`,
  port_forwarding_of_another_router: ({ id, router, port }) =>
    `The Floating IP ${id} had been set on router ${router}, the internal Neutron port ${port} can not reach it`,
} satisfies Some;

export const portForwardings = {
  port_forwarding_not_found: ({ id }) => `Port Forwarding ${id} could not be found.`,
  port_has_port_forwarding: ({ port }) =>
    `Cannot associate floating IP to port ${port} because it already has a Port Forwarding binding.`,
  port_has_binding_floating_ip: ({ id, ip, port, fixed_ip }) =>
    `Cannot create port forwarding to floating IP ${ip} (${id}) with port ${port} using fixed IP ${fixed_ip ?? ''}, as that port already has a binding floating IP.`,
  floating_ip_in_use_by_port_forwarding: ({ id }) => `Floating IP ${id} in use by Port Forwarding resources.`,
} satisfies Some;
