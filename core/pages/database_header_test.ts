import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { pageSizeOf, presentAsView, presentAsWal } from "./database_header.ts";

/** A real file of native SQLite. */
function nativeFile(pageSize: number): Uint8Array {
  const path = Deno.makeTempFileSync();
  try {
    const db = new DatabaseSync(path);
    db.exec(`PRAGMA page_size = ${pageSize}; CREATE TABLE t (a); INSERT INTO t VALUES (1)`);
    db.close();
    return Deno.readFileSync(path);
  } finally {
    Deno.removeSync(path);
  }
}

Deno.test("pageSizeOf() reads what SQLite wrote, the largest page size included, and refuses the rest", () => {
  for (const pageSize of [512, 4_096, 65_536]) strictEqual(pageSizeOf(nativeFile(pageSize)), pageSize);
  const file = nativeFile(4_096);
  strictEqual(pageSizeOf(file.subarray(0, 99)), undefined);
  file[16] = 3;
  strictEqual(pageSizeOf(file), undefined);
  strictEqual(pageSizeOf(new TextEncoder().encode("x".repeat(200))), undefined);
});

Deno.test("presentAsView() after presentAsWal() gives a page 1 that native SQLite opens", () => {
  const file = nativeFile(4_096);
  presentAsWal(file);
  deepStrictEqual([...file.subarray(18, 20)], [2, 2]);
  presentAsView(file, 2 ** 32 + 5);
  deepStrictEqual([...file.subarray(18, 20)], [1, 1]);
  deepStrictEqual([...file.subarray(24, 28)], [0, 0, 0, 5], "the change counter follows the index");
  const path = Deno.makeTempFileSync();
  Deno.writeFileSync(path, file);
  const db = new DatabaseSync(path);
  deepStrictEqual(db.prepare("SELECT a FROM t").get()?.a, 1);
  db.close();
  Deno.removeSync(path);
});
