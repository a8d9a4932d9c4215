/**
 * Finds and compiles wa-sqlite. Compiling takes about 6 ms and happens once per thread; an instance takes 2 to 3 ms.
 *
 * `wa-sqlite.wasm` is looked for beside the program first (the bundled build puts it there), else in the npm package.
 * The factory of the package is an `async` function although nothing in it waits: with `instantiateWasm` the
 * instance is made synchronously, and the promise resolves in the same turn of the event loop.
 */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import factory from "wa-sqlite/dist/wa-sqlite.mjs";
import type { EngineHost, EngineModule, SqlEngine } from "../engine.ts";
import { replaceCallbackRelays } from "./callback_relays.ts";
import { WaSqliteEngine } from "./wa_sqlite_engine.ts";
import type { WaSqliteModule } from "./wa_sqlite_module.ts";

interface FactoryOptions {
  readonly noInitialRun: boolean;
  readonly noFSInit: boolean;
  instantiateWasm(
    imports: WebAssembly.Imports,
    receive: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void,
  ): WebAssembly.Exports;
}

const createModule = factory as unknown as (options: FactoryOptions) => Promise<WaSqliteModule>;

let compiled: EngineModule | undefined;

/** The engine of this thread. @throws Error when the WASM file cannot be found */
export function loadEngineModule(): EngineModule {
  compiled ??= compileEngine(readFileSync(findWasmFile()));
  return compiled;
}

function findWasmFile(): string {
  const beside = new URL("./wa-sqlite.wasm", import.meta.url);
  if (beside.protocol === "file:" && existsSync(fileURLToPath(beside))) return fileURLToPath(beside);
  return fileURLToPath(import.meta.resolve("wa-sqlite/dist/wa-sqlite.wasm"));
}

function compileEngine(bytes: Uint8Array<ArrayBuffer>): EngineModule {
  const wasm = new WebAssembly.Module(bytes);
  return {
    name: "wa-sqlite",
    async createInstance(host: EngineHost): Promise<SqlEngine> {
      let relays: ReturnType<typeof replaceCallbackRelays> | undefined;
      const module = await createModule({
        // The engine sets memory accounting before SQLite initializes, which `main` does.
        noInitialRun: true,
        noFSInit: true,
        instantiateWasm(imports, receive) {
          relays = replaceCallbackRelays(imports);
          const instance = new WebAssembly.Instance(wasm, imports);
          receive(instance, wasm);
          return instance.exports;
        },
      });
      relays?.attach(module);
      return new WaSqliteEngine(module, host);
    },
  };
}
