import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerOf, cookieOf, datagram, peerOf, probeFlows, probeFrame } from './frames.ts';

const id = '01900000-0000-7000-8000-0000000000f1';

test('a whole frame makes a packet of 1500 bytes by IPv4 and 1520 by IPv6, with what a tunnel puts around it', () => {
  assert.equal(datagram('whole').length + 8 + 20, 1500);
  assert.equal(datagram('whole').length + 8 + 40, 1520);
  assert.equal(datagram('short').length, 72);
});

test('what was given back is known by its mark, and only when all of it is there', () => {
  for (const size of ['short', 'whole'] as const) {
    const asked = datagram(size);
    assert.equal(answerOf(asked), undefined, 'what is asked is no answer');
    const answer = Buffer.from(asked);
    answer[8 + 4] = 2;
    assert.equal(answerOf(answer), size);
    assert.equal(answerOf(answer.subarray(0, answer.length - 1)), undefined);
    answer.writeUInt32BE(5 * 256, 4);
    assert.equal(answerOf(answer), undefined, 'of another network');
  }
  assert.equal(answerOf(Buffer.alloc(0)), undefined);
  assert.equal(probeFrame('short').readUInt16BE(12), 0x88b5);
});

test('the flows send back what is asked, count by giver, and let nothing else pass', () => {
  const peer = { hostId: id, address: '10.9.0.2' };
  const flows = probeFlows([peer], '10.9.0.1').trim().split('\n');
  assert.deepEqual(flows, [
    'cookie=0,priority=0,actions=drop',
    'cookie=0,priority=100,in_port=1,dl_type=34997,dl_dst=02:00:00:00:01:01,actions=move:NXM_NX_TUN_IPV4_SRC[]->NXM_NX_TUN_IPV4_DST[],mod_dl_dst:02:00:00:00:02:01,in_port',
    'cookie=0,priority=100,in_port=1,dl_type=34997,dl_dst=02:00:00:00:01:02,actions=move:NXM_NX_TUN_IPV4_SRC[]->NXM_NX_TUN_IPV4_DST[],mod_dl_dst:02:00:00:00:02:02,in_port',
    `cookie=${cookieOf(peer, 'short')},priority=100,in_port=1,dl_type=34997,dl_dst=02:00:00:00:02:01,tun_src=10.9.0.2,actions=drop`,
    `cookie=${cookieOf(peer, 'whole')},priority=100,in_port=1,dl_type=34997,dl_dst=02:00:00:00:02:02,tun_src=10.9.0.2,actions=drop`,
  ]);
  assert.match(probeFlows([{ hostId: id, address: 'fd00::2' }], 'fd00::1'), /tun_ipv6_src=fd00::2/);
});

test('peers are read from what ovn-controller stamps its tunnels with, old and new, and nothing else is one', () => {
  assert.deepEqual(peerOf(`${id}@10.9.0.2`), { hostId: id, address: '10.9.0.2' });
  assert.deepEqual(peerOf(`${id}@fd00::2%fd00::1`), { hostId: id, address: 'fd00::2' });
  for (const stamp of [undefined, '', id, `${id}@`, `${id}@10.9.0`, `${id}@1.2.3.4;drop`, 'x@10.9.0.2'])
    assert.equal(peerOf(stamp), undefined, stamp);
});
