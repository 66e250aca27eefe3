/** What tsyringe (below @peculiar/x509) asks of reflect-metadata before it loads. Import before @peculiar/x509. */
const store = new WeakMap<object, Map<unknown, unknown>>();

function find(key: unknown, target: object): unknown {
  for (let at: object | null = target; at; at = Object.getPrototypeOf(at)) {
    if (store.get(at)?.has(key)) return store.get(at)!.get(key);
  }
  return undefined;
}

if (!('getMetadata' in Reflect)) {
  Object.assign(Reflect, {
    getMetadata: find,
    getOwnMetadata: (key: unknown, target: object) => store.get(target)?.get(key),
    hasOwnMetadata: (key: unknown, target: object) => store.get(target)?.has(key) === true,
    defineMetadata: (key: unknown, value: unknown, target: object) =>
      store.set(target, (store.get(target) ?? new Map()).set(key, value)),
  });
}
