/**
 * Finds and compiles a build of SQLite. Compiling happens once per thread and build; see the figures in the README of
 * core/sql.
 *
 * The WASM file is looked for beside the program first (the bundled build puts it there), else in the npm package.
 */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
// Not used: `import.meta.resolve` knows only packages that a module of this process imports.
import "@sqlite.org/sqlite-wasm/package.json" with { type: "json" };
import { DEFAULT_ENGINE, type EngineModule, type EngineName } from "../engine.ts";
import { compileSqliteWasm } from "./sqlite_wasm_instance.ts";
import { compileWaSqlite } from "./wa_sqlite_instance.ts";

interface EngineFiles {
  /** As the bundled build calls it. */
  readonly assetName: string;
  readonly specifier: string;
  compile(bytes: Uint8Array<ArrayBuffer>): EngineModule;
}

const FILES: Readonly<Record<EngineName, EngineFiles>> = {
  "wa-sqlite": {
    assetName: "wa-sqlite.wasm",
    specifier: "wa-sqlite/dist/wa-sqlite.wasm",
    compile: compileWaSqlite,
  },
  "sqlite-wasm": {
    assetName: "sqlite-wasm.wasm",
    specifier: "@sqlite.org/sqlite-wasm/sqlite3.wasm",
    compile: compileSqliteWasm,
  },
};

const compiled = new Map<EngineName, EngineModule>();

/** The engine of this thread. @throws Error when the WASM file cannot be found */
export function loadEngineModule(name: EngineName = DEFAULT_ENGINE): EngineModule {
  const known = compiled.get(name);
  if (known !== undefined) return known;
  const files = FILES[name];
  const module = files.compile(readFileSync(findWasmFile(files)));
  compiled.set(name, module);
  return module;
}

function findWasmFile({ assetName, specifier }: EngineFiles): string {
  const beside = new URL(`./${assetName}`, import.meta.url);
  if (beside.protocol === "file:" && existsSync(fileURLToPath(beside))) return fileURLToPath(beside);
  return fileURLToPath(import.meta.resolve(specifier));
}
