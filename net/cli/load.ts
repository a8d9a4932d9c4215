import { type Client, isWalraftError } from "../client/mod.ts";
import type { LoadOptions } from "./arguments.ts";
import type { CommandContext } from "./command_context.ts";
import { messageOf } from "./describe_error.ts";
import { openStream } from "./file_stream.ts";
import { buildNativeFile, sendScript } from "./load_script.ts";
import { ProgressBar } from "./progress_bar.ts";
import { checkSqliteHeader, HEADER_BYTES, isSqliteFile } from "./sqlite_file.ts";
import { openClient } from "./status.ts";
import { formatBytes } from "./table_format.ts";
import { EXIT } from "./usage_error.ts";

/** Loads a database file or a script; what it is, its first bytes say. */
export async function runLoad(options: LoadOptions, context: CommandContext): Promise<number> {
  const { file, database } = options;
  const client = openClient(options);
  const startMs = performance.now();
  const { header, bytes } = await readHeader(file);
  let summary: string;
  if (isSqliteFile(header)) {
    await checkSource(file, header, bytes);
    summary = await upload(client, database, file, context);
  } else if (/\.(db|sqlite3?|db3)$/i.test(file)) {
    throw new Error(`Cannot load ${file}: it is not a SQLite database (a script should not be named so)`);
  } else if (await isEmptyOrMissing(client, database, context.signal)) {
    summary = await loadThroughFile(client, options, bytes, context);
  } else {
    summary = await sendScript(client, options, bytes, context);
  }
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
  context.output.stdout(`${file} loaded into ${database}: ${summary}, ${seconds} s\n`);
  return EXIT.ok;
}

async function readHeader(path: string): Promise<{ header: Uint8Array; bytes: number }> {
  try {
    using file = await Deno.open(path);
    const { size, isFile } = await file.stat();
    if (!isFile) throw new Error("it is not a file");
    if (size === 0) throw new Error("it is empty");
    const header = new Uint8Array(HEADER_BYTES);
    const read = await file.read(header) ?? 0;
    return { header: header.subarray(0, read), bytes: size };
  } catch (cause) {
    throw new Error(`Cannot load ${path}: ${messageOf(cause)}`, { cause });
  }
}

/** A database that another program has open is not in its file alone. */
async function checkSource(path: string, header: Uint8Array, bytes: number): Promise<void> {
  try {
    checkSqliteHeader(header, bytes);
    for (const suffix of ["-wal", "-journal"]) {
      const beside = await Deno.stat(path + suffix).catch(() => undefined);
      if (beside === undefined || beside.size === 0) continue;
      throw new Error(
        `changes are still in ${path}${suffix}; close the programs that use it, or open it once with sqlite3`,
      );
    }
  } catch (cause) {
    throw new Error(`Cannot load ${path}: ${messageOf(cause)}`, { cause });
  }
}

async function upload(
  client: Client,
  database: string,
  path: string,
  context: CommandContext,
): Promise<string> {
  const { size } = await Deno.stat(path);
  const bar = new ProgressBar(context.output, "sending", size);
  try {
    const source = () => openStream(path, (bytes) => bar.update(bytes));
    const { pages, index } = await client.database(database).restore(source, {
      signal: context.signal,
    });
    return `${pages} pages, ${formatBytes(size)}, index ${index}`;
  } finally {
    bar.end();
  }
}

async function isEmptyOrMissing(client: Client, database: string, signal: AbortSignal): Promise<boolean> {
  try {
    const row = await client.database(database).first<{ count: number }>(
      // walraft keeps tables of its own, which are not the user's.
      "SELECT count(*) AS count FROM sqlite_schema WHERE name NOT LIKE 'walraft\\_%' ESCAPE '\\'",
      [],
      { signal },
    );
    return row?.count === 0;
  } catch (error) {
    if (isWalraftError(error, "database_not_found")) return true;
    throw error;
  }
}

/** Runs the script in a private native file and uploads that: one atomic step, whatever the script does. */
async function loadThroughFile(
  client: Client,
  options: LoadOptions,
  bytes: number,
  context: CommandContext,
): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "walraft-load-" });
  try {
    const path = `${folder}/script.db`;
    const statements = await buildNativeFile(options.file, bytes, path, context);
    return `${statements} statements, ${await upload(client, options.database, path, context)}`;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
