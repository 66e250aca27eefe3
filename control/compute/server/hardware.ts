/** What a server's machine has beyond its size, of what its image asks for (Nova's names of properties). Pure. */

/** As the server's row keeps it: an image that changes later changes no server. */
export interface ServerHardware {
  /** A channel to the QEMU guest agent (hw_qemu_guest_agent). */
  guest_agent?: boolean;
  /** Whose password is the guest's (os_admin_user; else by os_type). */
  admin_user?: string;
}

const truths = new Set(['1', 't', 'true', 'on', 'y', 'yes']);

export function hardwareOf(properties: Readonly<Record<string, string>>): ServerHardware {
  const { hw_qemu_guest_agent: agent = '', os_admin_user: user, os_type: type } = properties;
  if (!truths.has(agent.trim().toLowerCase())) return {};
  return { guest_agent: true, admin_user: user || (type === 'windows' ? 'Administrator' : 'root') };
}
