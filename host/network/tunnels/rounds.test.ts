import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FrameSize, TunnelPeer } from './frames.ts';
import { TunnelRounds } from './rounds.ts';

const peers = (count: number): TunnelPeer[] =>
  Array.from({ length: count }, (_, at) => ({ hostId: `host-${at}`, address: `10.9.${at >> 8}.${at & 255}` }));
const came = (...sizes: FrameSize[]) => new Set(sizes);

test('of a thousand hosts each has its turn, so many a round and no more', () => {
  const rounds = new TunnelRounds();
  rounds.take(peers(1000));
  const seen = new Set<string>();
  for (let round = 0; round < 32; round++) {
    const turn = rounds.next();
    assert.ok(turn.length <= 32);
    for (const peer of turn) {
      seen.add(peer.hostId);
      rounds.tried(peer, came('short', 'whole'), round);
    }
  }
  assert.equal(seen.size, 1000);
  assert.deepEqual(rounds.report(32), { peers: 1000, tried: 1000, faults: 0, broken: [], oldestMs: 32 });
});

test('one lost frame is no fault, two in a row are, and one that comes ends it', () => {
  const rounds = new TunnelRounds();
  rounds.take(peers(1));
  const [peer] = rounds.next();
  rounds.tried(peer!, came('short'), 1);
  assert.equal(rounds.report(1).faults, 0);
  assert.equal(rounds.doubts, true);
  rounds.tried(peer!, came('short'), 2);
  assert.deepEqual(rounds.report(2).broken, [{ hostId: 'host-0', address: '10.9.0.0', fault: 'narrow' }]);
  rounds.tried(peer!, came(), 3);
  assert.equal(rounds.report(3).faults, 0, 'another fault is as new as the first');
  rounds.tried(peer!, came(), 4);
  assert.equal(rounds.report(4).broken[0]!.fault, 'silent');
  rounds.tried(peer!, came('short', 'whole'), 5);
  assert.deepEqual(rounds.report(5).broken, []);
  assert.equal(rounds.doubts, false);
});

test('what is broken is tried again soon, and less often when it has been so for long', () => {
  const rounds = new TunnelRounds();
  rounds.take(peers(1));
  const [peer] = rounds.next();
  for (let time = 1; time < 30; time++) {
    rounds.tried(peer!, came(), time);
    assert.equal(rounds.doubts, true);
  }
  rounds.tried(peer!, came(), 30);
  assert.equal(rounds.doubts, false);
});

test('those at fault are tried in each round, and never keep the others from their turn', () => {
  const rounds = new TunnelRounds();
  rounds.take(peers(100));
  const turns = new Map<string, number>();
  for (let round = 0; round < 12; round++) {
    for (const peer of rounds.next()) {
      turns.set(peer.hostId, (turns.get(peer.hostId) ?? 0) + 1);
      rounds.tried(peer, Number(peer.hostId.slice(5)) < 40 ? came() : came('whole'), round);
    }
  }
  assert.equal(turns.size, 100);
  const { faults, tried } = rounds.report(12);
  assert.deepEqual([faults, tried], [40, 100]);
});

test('a host that is gone, or has another address, is another', () => {
  const rounds = new TunnelRounds();
  const [one] = peers(1);
  rounds.take([one!]);
  rounds.tried(one!, came(), 1);
  rounds.tried(one!, came(), 2);
  rounds.take([{ ...one!, address: '10.9.9.9' }]);
  assert.deepEqual(rounds.report(3), { peers: 1, tried: 0, faults: 0, broken: [], oldestMs: null });
  rounds.tried(one!, came(), 4);
  assert.equal(rounds.report(5).tried, 0, 'of the address before');
  rounds.take([]);
  assert.equal(rounds.report(6).peers, 0);
});
