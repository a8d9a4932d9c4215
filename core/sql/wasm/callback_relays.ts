import type { WaSqliteModule } from "./wa_sqlite_instance.ts";

/** Names of the imports through which wa-sqlite calls JavaScript: result and parameters by letter, synchronous only. */
const RELAY_NAME = /^_[iv]p[pij]+$/;

type Callback = (...values: number[]) => number;

/**
 * wa-sqlite calls a VFS method through a relay that decodes the name of the method from C memory on every call
 * and spreads its arguments twice. The names are constants, so these relays remember them by address: an
 * autocommit insert makes about eight such calls, and half of its time went there.
 *
 * The relays are found by the names Emscripten gives its functions. Should a build lose these names, none is replaced
 * and everything works as before, more slowly.
 */
export function replaceCallbackRelays(imports: WebAssembly.Imports): {
  attach(module: WaSqliteModule): void;
} {
  let module: WaSqliteModule | undefined;
  const methodNames = new Map<number, string>();

  const relay = (key: number, a: number, b: number, c: number, d: number, e: number, f: number): number => {
    const target = module!.getCallback(key);
    if (typeof target === "function") return (target as Callback)(a, b, c, d, e, f);
    let method = methodNames.get(a);
    if (method === undefined) {
      method = module!.UTF8ToString(a);
      methodNames.set(a, method);
    }
    return (target as Record<string, Callback>)[method]!(b, c, d, e, f);
  };

  for (const namespace of Object.values(imports)) {
    for (const [key, value] of Object.entries(namespace)) {
      if (typeof value !== "function" || !RELAY_NAME.test(value.name)) continue;
      namespace[key] = relay;
    }
  }
  return { attach: (loaded) => module = loaded };
}
