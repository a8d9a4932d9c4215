/**
 * `deno task build`: makes `dist/walraft`, one file that runs on a machine without Deno.
 *
 * Usage: `deno run -A core/host/build/build_executable.ts [--output PATH] [--way compile|pack]`
 */
import { parseArgs } from "node:util";
import { type BundledProgram, bundleProgram } from "./bundle_program.ts";
import { compileProgram } from "./compile_program.ts";
import { selfExtracting } from "./self_extracting.ts";

export interface BuildOptions {
  readonly entryPath: string;
  readonly outputPath: string;
  /** `compile`: `deno compile` or nothing; `pack`: self-extracting; `auto`: pack where compile cannot be had. */
  readonly way: "auto" | "compile" | "pack";
  /** Of gzip. 6 takes 5 s and gives 42 MB; 1 takes 2 s and gives 45 MB. */
  readonly compressionLevel: number;
}

export interface BuildReport {
  readonly way: "compile" | "pack";
  readonly bytes: number;
  /** Why the program was packed although it might have been compiled. */
  readonly fallbackReason?: string;
}

/** The file appears under its name at once and complete; an executable that runs meanwhile is not disturbed. */
export async function buildExecutable(options: BuildOptions): Promise<BuildReport> {
  const folder = await Deno.makeTempDir({ prefix: "walraft-build-" });
  try {
    const bundle = await bundleProgram(options.entryPath, folder);
    const builtPath = `${folder}/walraft`;
    const refusal = options.way === "pack" ? undefined : await compileProgram(bundle, builtPath);
    if (options.way === "compile" && refusal !== undefined) {
      throw new Error(`Cannot compile walraft: ${refusal}`);
    }
    const way = options.way === "pack" || refusal !== undefined ? "pack" : "compile";
    if (way === "pack") await packProgram(bundle, builtPath, options.compressionLevel);
    const { size } = await Deno.stat(builtPath);
    await place(builtPath, options.outputPath);
    return { way, bytes: size, ...(refusal === undefined ? {} : { fallbackReason: refusal }) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function packProgram(
  bundle: BundledProgram,
  outputPath: string,
  compressionLevel: number,
): Promise<void> {
  const read = async (name: string) => ({ name, bytes: await Deno.readFile(`${bundle.folder}/${name}`) });
  const executable = selfExtracting({
    runtime: await Deno.readFile(Deno.execPath()),
    program: await read(bundle.programName),
    assets: await Promise.all(bundle.assetNames.map(read)),
    stub: await Deno.readTextFile(new URL("./stub.sh", import.meta.url)),
  }, compressionLevel);
  await Deno.writeFile(outputPath, executable);
}

/** Copies beside the target first: the temporary folder may lie on another file system, where rename cannot reach. */
async function place(fromPath: string, toPath: string): Promise<void> {
  await Deno.mkdir(toPath.replace(/[^/]*$/, "") || ".", { recursive: true });
  const besidePath = `${toPath}.${Deno.pid}.tmp`;
  await Deno.copyFile(fromPath, besidePath);
  await Deno.chmod(besidePath, 0o755);
  await Deno.rename(besidePath, toPath);
}

function chosenWay(text: string): BuildOptions["way"] {
  if (text === "auto" || text === "compile" || text === "pack") return text;
  throw new Error(`Cannot build with --way ${text}: give auto, compile or pack`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      output: { type: "string", default: "dist/walraft" },
      entry: { type: "string", default: new URL("../../../main.ts", import.meta.url).pathname },
      way: { type: "string", default: "auto" },
    },
  });
  const report = await buildExecutable({
    entryPath: values.entry,
    outputPath: values.output,
    way: chosenWay(values.way),
    compressionLevel: 6,
  });
  if (report.fallbackReason !== undefined) {
    console.log(`Packed instead of compiled: ${report.fallbackReason}`);
  }
  const form = report.way === "compile" ? "compiled" : "self-extracting, unpacks itself at the first run";
  console.log(`${values.output}: ${(report.bytes / 1_000_000).toFixed(1)} MB, ${form}`);
}

if (import.meta.main) await main();
