/**
 * Property protections: which roles may make, read, change and remove which properties of images. The first rule whose pattern fits a
 * name decides; where there are rules, a name that none fits is nobody's, as in Glance. Pure.
 */
import { CloudError } from '../../contract/errors.ts';
import type { Caller } from '../kit/caller.ts';
import type { ImageChange } from './image.ts';
import type { ImageRow } from './tables.ts';

const verbs = ['create', 'read', 'update', 'delete'] as const;
export type PropertyVerb = (typeof verbs)[number];

/** Roles by verb; `@` is everybody, `!` nobody. */
export type PropertyRule = { pattern: string } & Record<PropertyVerb, string[]>;

/**
 * Glance's own file: a section for each pattern, in it a line of roles for each verb.
 * @throws Error that says which line is wrong
 */
export function parseProtections(text: string): PropertyRule[] {
  const rules: (Partial<PropertyRule> & { pattern: string })[] = [];
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#') || line.startsWith(';')) continue;
    const wrong = (why: string) => new Error(`line ${index + 1}: ${why}`);
    const section = /^\[(.+)\]$/.exec(line)?.[1];
    if (section !== undefined) {
      try {
        new RegExp(section, 'u');
      } catch {
        throw wrong(`${section} is no regular expression`);
      }
      rules.push({ pattern: section });
      continue;
    }
    const [, verb, roles] = /^(\w+)\s*[=:]\s*(.*)$/.exec(line) ?? [];
    const known = verbs.find((one) => one === verb);
    if (!known) throw wrong(`expected [PATTERN] or one of ${verbs.join(', ')} = ROLES`);
    const rule = rules.at(-1);
    if (!rule) throw wrong('a line of roles before the first [PATTERN]');
    rule[known] = roles!.split(',').flatMap((role) => role.trim() || []);
    if (rule[known].length > 1 && rule[known].some((role) => role === '@' || role === '!')) {
      throw wrong('@ and ! stand alone');
    }
  }
  return rules.map((rule) => {
    const missing = verbs.find((verb) => rule[verb] === undefined);
    if (missing) throw new Error(`[${rule.pattern}] says nothing of ${missing}`);
    return rule as PropertyRule;
  });
}

export class PropertyProtections {
  readonly #rules: readonly { pattern: RegExp; rule: PropertyRule }[];

  constructor(rules: readonly PropertyRule[] = []) {
    // At the beginning of the name, as Python matches.
    this.#rules = rules.map((rule) => ({ pattern: new RegExp(`^(?:${rule.pattern})`, 'u'), rule }));
  }

  allows(caller: Caller, verb: PropertyVerb, property: string): boolean {
    if (this.#rules.length === 0) return true;
    const roles = this.#rules.find(({ pattern }) => pattern.test(property))?.rule[verb] ?? [];
    return roles.includes('@') || roles.some((role) => role !== '!' && caller.roles.has(role));
  }

  /** What the caller may read. */
  readable(caller: Caller, properties: Readonly<Record<string, string>>): Record<string, string> {
    return Object.fromEntries(Object.entries(properties).filter(([name]) => this.allows(caller, 'read', name)));
  }

  /** The image as the caller may see it. */
  shown(caller: Caller, image: ImageRow): ImageRow {
    return this.#rules.length === 0
      ? image
      : { ...image, owner_properties: this.readable(caller, image.owner_properties) };
  }

  /** @throws CloudError `forbidden` */
  require(caller: Caller, verb: PropertyVerb, property: string): void {
    if (!this.allows(caller, verb, property)) {
      throw new CloudError('forbidden', 'image_property_reserved', { property });
    }
  }

  /** Each step of a patch, in turn: what an earlier step made is there for a later one. @throws CloudError `forbidden` */
  requireChanges(caller: Caller, image: ImageRow, changes: readonly ImageChange[]): void {
    if (this.#rules.length === 0) return;
    const present = new Set(Object.keys(image.owner_properties));
    for (const change of changes) {
      if (change.kind !== 'property') continue;
      const { verb, name } = change;
      this.require(caller, verb === 'remove' ? 'delete' : present.has(name) ? 'update' : 'create', name);
      if (verb === 'remove') present.delete(name);
      else present.add(name);
    }
  }
}
