/** What the host has found of its tunnels to the other hosts, by frames that they gave back. Changes nothing. */
import type { TunnelReport } from '../../contract/host/index.ts';
import { type Finding, ok, problem, warning } from './finding.ts';

const shown = 3;

/** @param tunnels absent: the host has none, or is older @param mtu that whole frames need */
export function checkTunnelPaths(tunnels: TunnelReport | null | undefined, mtu: number | undefined): Finding[] {
  if (!tunnels || tunnels.peers === 0) return [];
  const check = 'tunnels to other hosts';
  const { peers, tried, oldestMs, broken, faults } = tunnels;
  const age = oldestMs === null ? '' : `, the oldest try ${Math.round(oldestMs / 1000)} s ago`;
  const detail = `${tried} of ${peers} tried with whole frames (${mtu ?? 1500} bytes)${age}`;
  if (tried === 0) return [warning(check, `none of ${peers} could be tried yet`, 'see: bothy logs host')];
  if (faults === 0) return [ok(check, detail)];
  const named = (wanted: string) =>
    broken.flatMap(({ hostId, address, fault }) => (fault === wanted ? `${address} (host ${hostId})` : []));
  const list = (all: string[]) =>
    `${all.slice(0, shown).join(', ')}${all.length > shown ? ` and ${all.length - shown} more` : ''}`;
  const [silent, narrow] = [named('silent'), named('narrow')];
  return [
    ...(silent.length > 0
      ? [
          problem(
            check,
            `nothing comes back from ${list(silent)}; ${detail}`,
            'is that machine up, and UDP 6081 open between both, both ways?',
          ),
        ]
      : []),
    ...(narrow.length > 0
      ? [
          problem(
            check,
            `short frames come back from ${list(narrow)}, whole ones do not; ${detail}`,
            `let every card and switch on the way carry packets of ${mtu ?? 1500} bytes`,
          ),
        ]
      : []),
  ];
}
