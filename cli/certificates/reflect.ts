/**
 * The four functions of `reflect-metadata` that tsyringe (below @peculiar/x509) asks for before it loads: metadata per
 * object and key, looked up along the prototype chain. Import this before @peculiar/x509.
 */
const store = new WeakMap<object, Map<unknown, unknown>>();

function getMetadata(key: unknown, target: object): unknown {
  for (let at: object | null = target; at !== null; at = Object.getPrototypeOf(at)) {
    const own = store.get(at);
    if (own?.has(key)) return own.get(key);
  }
  return undefined;
}

function defineMetadata(key: unknown, value: unknown, target: object): void {
  const own = store.get(target) ?? new Map<unknown, unknown>();
  own.set(key, value);
  store.set(target, own);
}

Object.assign(Reflect, {
  getMetadata,
  getOwnMetadata: (key: unknown, target: object) => store.get(target)?.get(key),
  hasOwnMetadata: (key: unknown, target: object) => store.get(target)?.has(key) === true,
  defineMetadata,
});
