/** Contracts that the routes of the directory have in common: a noun is made, listed, shown, changed and removed. */
import type { TSchema } from 'typebox';
import type { Rights } from '../../boundary/contract.ts';
import * as a from './answers.ts';
import { asks, pageWords, wrapped } from './resource.ts';

interface Kind<Noun extends string> {
  noun: Noun;
  /** What a body may say; the rest is kept unread. */
  properties: Parameters<typeof wrapped>[1];
  answer: TSchema;
  /** Words of a list's query, beside those of pages. */
  filters: readonly string[];
  /** Who may see one; lists and changes are for administrators. */
  showRights: Rights;
}

export function directory<const Noun extends string>({ noun, properties, answer, filters, showRights }: Kind<Noun>) {
  const shown = a.one(noun, answer);
  return {
    create: {
      summary: `Make a ${noun}`,
      rights: 'admin',
      body: wrapped(noun, properties, ['name']),
      answers: { 201: shown },
    },
    list: {
      summary: `List ${noun}s`,
      rights: 'admin',
      query: asks(...filters, ...pageWords),
      answers: { 200: a.many(`${noun}s`, answer) },
    },
    show: { summary: `Show a ${noun}`, rights: showRights, answers: { 200: shown } },
    update: {
      summary: `Change a ${noun}`,
      rights: 'admin',
      body: wrapped(noun, properties),
      answers: { 200: shown },
    },
    remove: quiet(`Remove a ${noun}`, 'admin'),
  } as const;
}

/** Answers with a status only. */
export const quiet = <const R extends Rights>(summary: string, rights: R) =>
  ({ summary, rights, answers: { 204: null } }) as const;

export const shows = <const R extends Rights>(summary: string, rights: R, answer: TSchema) =>
  ({ summary, rights, answers: { 200: answer } }) as const;

/** @param words of the query */
export const lists = <const R extends Rights>(summary: string, rights: R, answer: TSchema, ...words: string[]) =>
  ({ summary, rights, query: asks(...words), answers: { 200: answer } }) as const;
