/** What we say of who reaches whom, held against real packets through real OVN, in generated topologies. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../contract/ids.ts';
import { unit } from '../../control/network/ovn/index.ts';
import { loadGround } from '../../control/network/reachability/load.ts';
import type { Answer } from '../../control/network/reachability/question.ts';
import { reach } from '../../control/network/reachability/reach.ts';
import { TestCloud } from '../simulated/ovn-cloud.ts';
import { type Endpoint, labMissing, type OvnLab } from './ovn-lab.ts';
import { type ProjectedLab, projectedLab } from './projected-lab.ts';
import { type External, makeTopology, outside, type Topology } from './topologies.ts';

const skip = labMissing() ?? false;
const seed = Number(process.env.BOTHY_TOPOLOGY_SEED ?? 20_261_129);
const topologies = Number(process.env.BOTHY_TOPOLOGIES ?? 12);
const timeoutMs = 15_000;
/**
 * A guest asks for so long before it counts as unanswered. Where we say that it is answered it asks longer: neighbours are found on the first
 * packet, which may be lost, and a machine may be slow.
 */
const patienceMs = { unanswered: 900, answered: 8000 };

class Peer {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answered: boolean) => void>();
  readonly ready: Promise<void>;
  #asked = 0;

  constructor(lab: OvnLab, { namespace }: Endpoint) {
    const script = join(import.meta.dirname, 'reach-peer.ts');
    this.#child = lab.spawnInside(namespace, process.execPath, script, '80', '81');
    this.ready = new Promise((resolve) => {
      createInterface({ input: this.#child.stdout! }).on('line', (line) => {
        if (line === 'ready') return resolve();
        const { id, answered } = JSON.parse(line);
        this.#waiting.get(id)?.(answered);
        this.#waiting.delete(id);
      });
    });
  }

  ask(protocol: number, address: string, port: number, ms: number): Promise<boolean> {
    const id = this.#asked++;
    const line = { id, protocol: protocol === 6 ? 'tcp' : 'udp', address, port, ms };
    this.#child.stdin!.write(`${JSON.stringify(line)}\n`);
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }
}

let world: ProjectedLab;
let external: External;
const at: Endpoint[] = [];
const peers: Peer[] = [];
let peerOutside: Peer;

before(async () => {
  if (skip) return;
  world = await projectedLab(newId(), ['physnet1']);
  const { lab, cloud } = world;
  const network = await cloud.external();
  const v4 = await cloud.subnet(network, '203.0.113.0/24', { gateway_ip: outside, enable_dhcp: false });
  external = { network, v4, next: 1, tag: 100 };
  for (let n = 0; n < 5; n++) at.push(lab.endpoint(`g${n}`, { iface: newId(), addresses: [] }));
  const out = lab.endpoint('out', { bridge: 'br-ex', addresses: [`${outside}/24`] });
  for (const endpoint of at) peers.push(new Peer(lab, endpoint));
  peerOutside = new Peer(lab, out);
  await Promise.all([...peers, peerOutside].map(({ ready }) => ready));
});

after(() => world?.[Symbol.asyncDispose]());

/** The namespaces become the topology's guests. */
async function plug(topology: Topology): Promise<void> {
  const { lab, db, projector } = world;
  for (const [n, { port }] of topology.guests.entries()) lab.replug(at[n]!, port);
  const units = [
    ...topology.guests.map(({ port }) => unit('port', port)),
    ...topology.routers.map((id) => unit('router', id)),
    ...topology.groups.map((id) => unit('security_group', id)),
    ...topology.addressGroups.map((id) => unit('address_group', id)),
  ];
  await projector.reached(units, { timeoutMs });
  const ids = topology.guests.map(({ port }) => port);
  await lab.until('the guests are up', async () => {
    const { rows } =
      await sql`select id from port where id = any(${ids}::uuid[]) and admin_state_up and not observed_up`.execute(
        db.database.query,
      );
    return rows.length === 0;
  });
  for (const [n, guest] of topology.guests.entries()) lab.configure(at[n]!, guest);
}

interface Told {
  what: string;
  answer: Answer;
  said: boolean;
  answered: boolean;
}

/** What we say, where all of what is outside is one machine on the external network, which has routes to nobody. */
const saidOf = ({ reachable, there, assumptions }: Answer, to: string): boolean =>
  reachable &&
  !assumptions.includes('outside_routes_here') &&
  (!assumptions.includes('outside_answers') || (to === outside && there.at(-1)!.id === external.network));

async function compare(topology: Topology): Promise<Told[]> {
  return Promise.all(
    topology.questions.map(async ({ from, to, question }) => {
      const { protocol, port } = question;
      const ground = await loadGround(world.db.database.query, [question.from, question.to]);
      const answer = reach(ground, question);
      const said = saidOf(answer, to);
      const ms = said ? patienceMs.answered : patienceMs.unanswered;
      const answered = await (from < 0 ? peerOutside : peers[from]!).ask(protocol, to, port!, ms);
      return {
        what: `${from < 0 ? 'outside' : `guest ${from}`} to ${to}, ${protocol}/${port}`,
        answer,
        said: saidOf(answer, to),
        answered,
      };
    }),
  );
}

test('who reaches whom is as we say, by real packets, in generated topologies', { skip }, async (t) => {
  const counts = { asked: 0, answered: 0, wrong: 0, reasons: new Map<string, number>() };
  for (let n = 0; n < topologies; n++) {
    const topology = await makeTopology(new TestCloud(world.db.database), external, seed + n);
    await plug(topology);
    const all = await compare(topology);
    const wrong = all.filter(({ said, answered }) => said !== answered);
    for (const { answer, answered } of all) {
      counts.asked++;
      if (answered) counts.answered++;
      for (const { reason } of answer.stops.slice(0, 1)) {
        counts.reasons.set(reason, (counts.reasons.get(reason) ?? 0) + 1);
      }
    }
    for (const { what, answer, answered } of wrong) {
      t.diagnostic(
        `seed ${seed + n}: ${what}: ${answered ? 'answered' : 'no answer'}, but we say ${JSON.stringify(answer)}`,
      );
    }
    counts.wrong += wrong.length;
  }
  t.diagnostic(`${counts.asked} asked, ${counts.answered} answered, ${counts.wrong} otherwise than we say`);
  t.diagnostic(`stopped: ${[...counts.reasons].map(([reason, count]) => `${reason} ${count}`).join(', ')}`);
  assert.equal(counts.wrong, 0);
  assert.ok(topologies < 12 || counts.asked >= 300);
});
