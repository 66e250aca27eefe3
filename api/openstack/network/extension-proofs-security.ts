/** Proofs of the extensions of security groups, for extensions.db.test.ts. Not for production use. */
import assert from 'node:assert/strict';
import type { Me } from './testing.ts';

// biome-ignore lint/suspicious/noExplicitAny: proofs look into answers as a client does
type Body = any;

/** @param admin writes the template */
export function securityProofs(admin: Me): Record<string, (me: Me) => Promise<void>> {
  const newGroup = async (me: Me): Promise<Body> => {
    const answer = await me.post('/security-groups', { security_group: { name: 'g' } });
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    return answer.body.security_group;
  };
  return {
    'security-groups-default-rules': async (me) => {
      const rule = { direction: 'ingress', protocol: 'tcp', port_range_min: 22, port_range_max: 22 };
      const made = await admin.post('/default-security-group-rules', { default_security_group_rule: rule });
      assert.equal(made.status, 201, JSON.stringify(made.body));
      const { id } = made.body.default_security_group_rule;
      const ssh = (group: Body) => group.security_group_rules.some((one: Body) => one.port_range_min === 22);
      assert.equal(ssh(await newGroup(me)), true);
      assert.equal((await admin.delete(`/default-security-group-rules/${id}`)).status, 204);
      assert.equal(ssh(await newGroup(me)), false);
    },
    'security-groups-rules-belongs-to-default-sg': async (me) => {
      const group = await newGroup(me);
      const rules = async (filter: string): Promise<Body[]> =>
        (await me.get(`/security-group-rules?belongs_to_default_sg=${filter}`)).body.security_group_rules;
      assert.deepEqual(new Set((await rules('False')).map((rule) => rule.security_group_id)), new Set([group.id]));
      assert.deepEqual([(await rules('True')).length, group.security_group_rules[0].belongs_to_default_sg], [4, false]);
    },
  };
}
