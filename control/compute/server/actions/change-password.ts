import { CloudError } from '../../../../contract/errors.ts';
import type { Secret } from '../../../../contract/secret.ts';
import type { GuestRequest } from './request.ts';

/** The guest's agent sets it, where its image says that there is one (hw_qemu_guest_agent). The password is kept nowhere. */
export const changePassword: GuestRequest<{ password: Secret }> = {
  verb: 'changePassword',
  doing: 'change a server’s password',
  async ask(hosts, { host, id, server }, { password }) {
    const { guest_agent: agent, admin_user: user = 'root' } = server.hardware;
    if (!agent) throw new CloudError('conflict', 'server_without_agent', { id });
    await hosts.setPassword(host, id, { user, password });
  },
};
