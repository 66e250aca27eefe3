/** nft's tables and chains by name, with their text; a script is one transaction. Rules are kept, never carried out. */

type Tables = Map<string, Map<string, string>>;

export class Nftables {
  #tables: Tables = new Map();
  readonly #texts = new Map<string, string>();

  /** Names of tables with their family, e.g. 'inet bothy_ab12'. */
  get tables(): string[] {
    return [...this.#tables.keys()];
  }

  chains(table: string): string[] {
    return [...(this.#tables.get(table)?.keys() ?? [])];
  }

  /** @throws where any command fails; then nothing has changed */
  apply(script: string, hasDevice: (name: string) => boolean): void {
    const tables: Tables = new Map([...this.#tables].map(([name, chains]) => [name, new Map(chains)]));
    const texts = new Map<string, string>();
    const lines = script.split('\n');
    for (let at = 0; at < lines.length; at++) {
      const line = lines[at]!.trim();
      if (line === '') continue;
      const bare = /^table (\S+ \S+)$/.exec(line)?.[1];
      if (bare !== undefined) {
        tables.set(bare, tables.get(bare) ?? new Map());
        continue;
      }
      const block = /^table (\S+ \S+) \{$/.exec(line)?.[1];
      if (block === undefined) {
        this.#command(line, tables, hasDevice);
        continue;
      }
      const end = lines.indexOf('}', at);
      if (end < 0) throw new Error('syntax error, unexpected end of file');
      const body = lines.slice(at + 1, end);
      const chains = tables.get(block) ?? new Map<string, string>();
      for (const text of body) {
        const name = /^ {2}chain (\S+) \{$/.exec(text)?.[1];
        if (name !== undefined) chains.set(name, '');
      }
      tables.set(block, chains);
      texts.set(block, lines.slice(at, end + 1).join('\n'));
      at = end;
    }
    this.#tables = tables;
    for (const name of this.#texts.keys()) if (!tables.has(name)) this.#texts.delete(name);
    for (const [name, text] of texts) this.#texts.set(name, text);
  }

  list(table: string): string {
    if (!this.#tables.has(table)) throw new Error('No such file or directory');
    const chains = [...this.#tables.get(table)!].map(([name, text]) => `  chain ${name} ${text}`);
    return this.#texts.get(table) ?? `table ${table} {\n${chains.join('\n')}\n}`;
  }

  #command(line: string, tables: Tables, hasDevice: (name: string) => boolean): void {
    const rule = /^add rule (\S+ \S+) (\S+) (.+)$/.exec(line);
    if (rule) {
      const [, owner, where, text] = rule;
      const before = tables.get(owner!)?.get(where!);
      if (before === undefined) throw new Error('Could not process rule: No such file or directory');
      tables.get(owner!)!.set(where!, `${before} ${text}`);
      return;
    }
    const [, verb, object, family, table, chain, text = ''] =
      /^(add|delete|flush) (table|chain) (\S+) (\S+)(?: (\S+))?(?: (\{.*\}))?$/.exec(line) ?? [];
    if (verb === undefined) throw new Error(`syntax error: ${line}`);
    const name = `${family} ${table}`;
    if (object === 'table') {
      if (verb === 'add') tables.set(name, tables.get(name) ?? new Map());
      else if (!tables.delete(name)) throw new Error('Could not process rule: No such file or directory');
      return;
    }
    const chains = tables.get(name);
    const device = /hook (?:in|e)gress device "([^"]+)"/.exec(text)?.[1];
    const known = device === undefined || hasDevice(device);
    if (!chains || chain === undefined || !known) throw new Error('Could not process rule: No such file or directory');
    if (verb === 'add') chains.set(chain, text || (chains.get(chain) ?? '{ }'));
    else if (verb === 'flush' && chains.has(chain)) chains.set(chain, '{ }');
    else if (!chains.delete(chain)) throw new Error('Could not process rule: No such file or directory');
  }
}
