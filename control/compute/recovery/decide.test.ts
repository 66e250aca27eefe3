import assert from 'node:assert/strict';
import { test } from 'node:test';
import { absentServer, type DesiredServer } from '../../../contract/host/index.ts';
import type { ServerId } from '../../../contract/ids.ts';
import { decideFate, type KnownServer } from './decide.ts';

const id = '01900000-0000-7000-8000-000000000051' as ServerId;
const held = (epoch: number, generation: number): DesiredServer => ({
  ...absentServer({ id, epoch, generation }),
  presence: 'present',
});
const gone = (epoch: number, generation: number) => absentServer({ id, epoch, generation });
const row = (
  host_id: string | null,
  epoch: number,
  generation: number,
  more: Partial<KnownServer> = {},
): KnownServer => ({
  ...{ host_id, epoch, generation, desired_presence: 'present', served: true },
  ...more,
});

type Case = [
  string,
  DesiredServer | null,
  KnownServer | undefined,
  { epoch: number; generation: number } | undefined,
  string,
  ('arriving' | 'left')?,
];
const cases: Case[] = [
  ['a server without a row is made again', held(1, 3), undefined, undefined, 'remake'],
  ['one that was deleted since stays deleted', held(1, 3), undefined, { epoch: 1, generation: 2 }, 'end'],
  ['and the host has only to hear of it', held(1, 3), undefined, { epoch: 1, generation: 4 }, 'wait'],
  ['one that its host is erasing is not made again', gone(1, 3), undefined, undefined, 'end'],
  ['an older row is raised', held(1, 9), row('h', 1, 5), undefined, 'raise present'],
  ['a row that is ahead has been raised already', held(1, 9), row('h', 1, 10), undefined, 'wait'],
  [
    'a row that shall be absent is raised as such',
    held(1, 9),
    row('h', 1, 5, { desired_presence: 'absent' }),
    undefined,
    'raise absent',
  ],
  ['a row of what was deleted since the dump becomes absent', gone(1, 9), row('h', 1, 5), undefined, 'raise absent'],
  ['the later owner has it', held(3, 1), row('other', 2, 8), undefined, 'raise present'],
  ['a row without a host takes the one that has it', held(1, 1), row(null, 0, 1), undefined, 'raise present'],
  ['of two histories the one that is lost was first', held(1, 4), row('other', 1, 9), undefined, 'raise present'],
  ['an earlier owner has a copy', held(1, 9), row('other', 2, 1), undefined, 'leave'],
  ['an earlier owner that is erasing its copy goes on', gone(1, 9), row('other', 2, 1), undefined, 'end'],
  ['a disk without a document is left', null, undefined, undefined, 'leave'],
  ['unless the database names it', null, row('h', 1, 1), undefined, 'wait'],
  ['what came in part is no server', held(2, 1), undefined, undefined, 'leave', 'arriving'],
  ['whatever its row says', held(2, 1), row('h', 1, 1), undefined, 'leave', 'arriving'],
  ['it goes when it is whole elsewhere', held(2, 1), row('other', 1, 2), undefined, 'end', 'arriving'],
  [
    'not before its owner has called its way off',
    held(2, 1),
    row('other', 1, 2, { served: false }),
    undefined,
    'wait',
    'arriving',
  ],
  ['what arrived whole has it', held(2, 1), row('other', 1, 2), undefined, 'raise present'],
  ['what it left goes when it is elsewhere', held(1, 9), row('other', 2, 1), undefined, 'end', 'left'],
  ['not before that is said', held(1, 9), row('other', 2, 1, { served: false }), undefined, 'wait', 'left'],
  ['what it left is taken up by nobody before', held(1, 9), undefined, undefined, 'leave', 'left'],
  ['whatever an older row says', held(1, 9), row('h', 1, 5), undefined, 'leave', 'left'],
];

for (const [name, document, known, absence, expected, way = null] of cases) {
  test(name, () => {
    const fate = decideFate({ hostId: 'h', document, way }, known, absence);
    assert.equal(fate.fate === 'raise' ? `raise ${fate.presence}` : fate.fate, expected);
  });
}
