import { DatabaseSync } from "node:sqlite";

/** Opens the bytes of a `.db` file in native SQLite: what `integrity_check` says, and the list in it, if any. */
export function readList(
  parts: readonly Uint8Array[],
): { readonly integrity: string; readonly items: readonly number[] } {
  const path = Deno.makeTempFileSync({ suffix: ".db" });
  try {
    const file = Deno.openSync(path, { write: true });
    for (const part of parts) for (let at = 0; at < part.length;) at += file.writeSync(part.subarray(at));
    file.close();
    const database = new DatabaseSync(path, { readOnly: true });
    try {
      const [row] = database.prepare("PRAGMA integrity_check").all() as { integrity_check: string }[];
      const integrity = row?.integrity_check ?? "no answer";
      if (integrity !== "ok") return { integrity, items: [] };
      const tables = database.prepare("SELECT name FROM sqlite_schema WHERE name = 'list'").all();
      if (tables.length === 0) return { integrity, items: [] };
      const rows = database.prepare("SELECT item FROM list ORDER BY id").all() as { item: number }[];
      return { integrity, items: rows.map(({ item }) => item) };
    } catch (error) {
      return { integrity: String(error), items: [] };
    } finally {
      database.close();
    }
  } finally {
    Deno.removeSync(path);
  }
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
