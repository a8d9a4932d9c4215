import assert from "node:assert/strict";
import {
  type EngineConnection,
  type EngineFile,
  type EngineFileKind,
  EngineLimit,
  type EngineModule,
  EngineOption,
  ResultCode,
  SqliteError,
  StorageClass,
} from "../../core/sql/engine.ts";

/** A file system that keeps what SQLite writes and notes what it does. */
class RecordingFiles {
  readonly files = new Map<string, RecordedFile>();
  readonly calls: string[] = [];
  failWith: Error | undefined;

  open(kind: EngineFileKind): EngineFile {
    const name = kind === "temporary" ? `temporary ${this.files.size}` : kind;
    const known = this.files.get(name);
    if (known !== undefined) return known;
    const file = new RecordedFile(this, name);
    this.files.set(name, file);
    return file;
  }

  exists(kind: EngineFileKind): boolean {
    return kind === "database";
  }
}

class RecordedFile implements EngineFile {
  bytes = new Uint8Array(0);
  isFull = false;

  constructor(readonly owner: RecordingFiles, readonly name: string) {}

  read(into: Uint8Array, offset: number): number {
    if (this.owner.failWith !== undefined) throw this.owner.failWith;
    const found = this.bytes.subarray(offset, offset + into.length);
    into.set(found);
    return found.length;
  }

  write(bytes: Uint8Array, offset: number): boolean {
    if (this.isFull) return false;
    this.owner.calls.push(`${this.name} write`);
    if (offset + bytes.length > this.bytes.length) {
      const grown = new Uint8Array(offset + bytes.length);
      grown.set(this.bytes);
      this.bytes = grown;
    }
    this.bytes.set(bytes, offset);
    return true;
  }

  truncate(size: number): void {
    this.bytes = this.bytes.slice(0, size);
  }

  size(): number {
    return this.bytes.length;
  }

  committed(): void {
    this.owner.calls.push(`${this.name} committed`);
  }

  close(): void {}
}

async function openWriter(
  module: EngineModule,
): Promise<{ files: RecordingFiles; connection: EngineConnection }> {
  const files = new RecordingFiles();
  const engine = await module.createInstance({
    fileSystem: files,
    clock: { wallMs: () => Date.UTC(2026, 0, 2, 3, 4, 5) },
    random: { bytes: (length) => new Uint8Array(length).fill(7) },
    heapBytesMax: 64 * 1024 * 1024,
  });
  const connection = engine.open("read_write");
  run(connection, "PRAGMA locking_mode = EXCLUSIVE");
  assert.deepEqual(run(connection, "PRAGMA journal_mode = WAL"), [["wal"]]);
  run(connection, "PRAGMA synchronous = OFF");
  return { files, connection };
}

/** Rows of one statement, text decoded. */
function run(connection: EngineConnection, sql: string): unknown[][] {
  const { statement } = connection.prepare(sql, false);
  if (statement === undefined) return [];
  const rows: unknown[][] = [];
  try {
    while (statement.step()) {
      rows.push(Array.from({ length: statement.columnCount() }, (_, column) => {
        const type = statement.columnType(column);
        if (type === StorageClass.null) return null;
        if (type === StorageClass.integer) return statement.columnInteger(column);
        if (type === StorageClass.real) return statement.columnReal(column);
        if (type === StorageClass.blob) return statement.columnBlob(column).slice();
        return new TextDecoder("utf-8", { ignoreBOM: true }).decode(statement.columnText(column));
      }));
    }
  } finally {
    statement.reset();
    statement.finalize();
  }
  return rows;
}

function sqliteError(call: () => unknown): SqliteError {
  try {
    call();
  } catch (error) {
    assert.ok(error instanceof SqliteError, String(error));
    return error;
  }
  throw new Error("The call succeeded");
}

/** What every engine behind `core/sql/engine.ts` must do. */
export function sqlEngineContract(name: string, load: () => EngineModule): void {
  const test = (what: string, body: () => Promise<void>): void => Deno.test(`${name}: ${what}`, body);

  test("64-bit integers, REAL, text with NUL, blobs and NULL come back as they were bound", async () => {
    const { connection } = await openWriter(load());
    const { statement } = connection.prepare("SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?", false);
    assert.ok(statement !== undefined);
    statement.bindInteger(0, 2n ** 63n - 1n);
    statement.bindInteger(1, -(2n ** 63n));
    statement.bindInteger(2, Number.MIN_SAFE_INTEGER);
    statement.bindReal(3, -0);
    statement.bindReal(4, Infinity);
    statement.bindText(5, "a\0b\uFEFF€𝄞");
    statement.bindBlob(6, Uint8Array.of(0, 255));
    statement.bindBlob(7, new Uint8Array(0));
    statement.bindNull(8);
    assert.equal(statement.step(), true);
    assert.deepEqual(Array.from({ length: 9 }, (_, column) => statement.columnType(column)), [
      ...[
        StorageClass.integer,
        StorageClass.integer,
        StorageClass.integer,
        StorageClass.real,
        StorageClass.real,
      ],
      ...[StorageClass.text, StorageClass.blob, StorageClass.blob, StorageClass.null],
    ]);
    assert.equal(statement.columnInteger(0), 2n ** 63n - 1n);
    assert.equal(statement.columnInteger(1), -(2n ** 63n));
    assert.equal(statement.columnInteger(2), Number.MIN_SAFE_INTEGER);
    assert.ok(Object.is(statement.columnReal(3), -0));
    assert.equal(statement.columnReal(4), Infinity);
    assert.deepEqual(statement.columnText(5).slice(), new TextEncoder().encode("a\0b\uFEFF€𝄞"));
    assert.deepEqual(statement.columnBlob(6).slice(), Uint8Array.of(0, 255));
    assert.equal(statement.columnBlob(7).length, 0);
    assert.equal(statement.step(), false);
    statement.finalize();
    connection.close();
  });

  test("text and blobs larger than any buffer it keeps are bound whole", async () => {
    const { connection } = await openWriter(load());
    const text = "€x".repeat(100_000);
    const { statement } = connection.prepare("SELECT length(?1), length(?2), ?1 = ?3", false);
    statement!.bindText(0, text);
    statement!.bindBlob(1, new Uint8Array(300_000));
    statement!.bindText(2, text);
    statement!.step();
    assert.deepEqual([0, 1, 2].map((column) => statement!.columnInteger(column)), [200_000, 300_000, 1]);
    statement!.finalize();
  });

  test("an error has SQLite's extended code, its message and the offset in the text", async () => {
    const { connection } = await openWriter(load());
    const syntax = sqliteError(() => connection.prepare("SELECT 1 +* 2", false));
    assert.deepEqual([syntax.resultCode, syntax.sqlOffset], [ResultCode.error, 10]);
    assert.match(syntax.message, /near "\*"/);
    run(connection, "CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE)");
    run(connection, "INSERT INTO t VALUES (1, 1)");
    assert.equal(sqliteError(() => run(connection, "INSERT INTO t VALUES (1, 2)")).resultCode, 1555);
    assert.equal(sqliteError(() => run(connection, "INSERT INTO t VALUES (2, 1)")).resultCode, 2067);
    assert.deepEqual(run(connection, "SELECT a FROM t"), [[1]]);
  });

  test("prepare gives the rest of the text, and no statement for a comment", async () => {
    const { connection } = await openWriter(load());
    assert.equal(connection.prepare("SELECT 'ä'; SELECT 2", false).rest, " SELECT 2");
    assert.equal(connection.prepare("-- nothing", false).statement, undefined);
  });

  test("a commit is reported once by the database file, after its frames; a rollback is not", async () => {
    const { files, connection } = await openWriter(load());
    run(connection, "CREATE TABLE t(a)");
    files.calls.length = 0;
    run(connection, "INSERT INTO t VALUES (1)");
    assert.equal(files.calls.at(-1), "database committed");
    assert.deepEqual([...new Set(files.calls.slice(0, -1))], ["wal write"]);
    files.calls.length = 0;
    run(connection, "BEGIN");
    run(connection, "INSERT INTO t VALUES (2)");
    assert.equal(connection.isAutocommit(), false);
    run(connection, "ROLLBACK");
    assert.deepEqual(files.calls.filter((call) => call.endsWith("committed")), []);
  });

  test("a file that throws is an I/O error, and the cause is kept", async () => {
    const { files, connection } = await openWriter(load());
    run(connection, "CREATE TABLE t(a)");
    connection.checkpointTruncate();
    const engine = await load().createInstance({
      fileSystem: files,
      clock: { wallMs: () => 0 },
      random: { bytes: (length) => new Uint8Array(length) },
      heapBytesMax: 2 ** 25,
    });
    const reader = engine.open("read_only");
    assert.equal(reader.failure, undefined);
    files.failWith = new Error("disk gone");
    assert.equal(sqliteError(() => run(reader, "SELECT * FROM t")).primaryCode, ResultCode.ioError);
    assert.equal(reader.failure, files.failWith);
  });

  test("a file that is full fails the transaction and nothing else", async () => {
    const { files, connection } = await openWriter(load());
    run(connection, "CREATE TABLE t(a)");
    files.files.get("wal")!.isFull = true;
    assert.equal(sqliteError(() => run(connection, "INSERT INTO t VALUES (1)")).primaryCode, ResultCode.full);
    files.files.get("wal")!.isFull = false;
    run(connection, "INSERT INTO t VALUES (2)");
    assert.deepEqual(run(connection, "SELECT a FROM t"), [[2]]);
    assert.equal(connection.failure, undefined);
  });

  test("time and randomness come from the ports", async () => {
    const draw = async (): Promise<unknown[][]> => {
      const { connection } = await openWriter(load());
      return run(connection, "SELECT datetime('now'), random(), hex(randomblob(4))");
    };
    const first = await draw();
    assert.equal(first[0]![0], "2026-01-02 03:04:05");
    assert.deepEqual(await draw(), first);
  });

  test("the authorizer sees every access and can deny it", async () => {
    const { connection } = await openWriter(load());
    run(connection, "CREATE TABLE t(a)");
    const seen: string[] = [];
    connection.setAuthorizer((action, first, second) => {
      seen.push(`${action} ${first} ${second}`.trim());
      return first === "t" && second === "a" ? "deny" : "allow";
    });
    assert.equal(sqliteError(() => connection.prepare("SELECT /* t */ a FROM t", false)).primaryCode, 23);
    assert.deepEqual(seen, ["21", "20 t a"]);
  });

  test("the progress handler stops a statement", async () => {
    const { connection } = await openWriter(load());
    let looks = 0;
    connection.setProgressHandler(1_000, () => ++looks >= 5);
    const endless = "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT max(i) FROM c";
    assert.equal(sqliteError(() => run(connection, endless)).primaryCode, ResultCode.interrupt);
    assert.equal(looks, 5);
  });

  test("changes, row ids and limits", async () => {
    const { connection } = await openWriter(load());
    run(connection, "CREATE TABLE t(a INTEGER PRIMARY KEY)");
    run(connection, `INSERT INTO t VALUES (1), (${2n ** 62n})`);
    assert.equal(connection.changes(), 2);
    assert.equal(connection.totalChanges(), 2);
    assert.equal(connection.lastInsertRowid(), 2n ** 62n);
    connection.clearLastInsertRowid();
    assert.equal(connection.lastInsertRowid(), 0);
    assert.equal(connection.setLimit(EngineLimit.compoundSelects, 2), 500);
    assert.throws(() => run(connection, "SELECT 1 UNION SELECT 2 UNION SELECT 3"), /too many terms/);
    connection.setOption(EngineOption.defensive, true);
    run(connection, "PRAGMA writable_schema = ON");
    assert.throws(() => run(connection, "DELETE FROM sqlite_schema"), /may not be modified/);
  });

  test("memory beyond the limit of the instance is refused, and the instance lives", async () => {
    const { connection } = await openWriter(load());
    assert.equal(
      sqliteError(() => run(connection, "SELECT randomblob(80000000)")).primaryCode,
      ResultCode.noMemory,
    );
    assert.deepEqual(run(connection, "SELECT length(randomblob(1000000))"), [[1_000_000]]);
  });

  test("FTS5, JSON, window functions, RETURNING, UPSERT and STRICT tables are there", async () => {
    const { connection } = await openWriter(load());
    run(connection, "CREATE VIRTUAL TABLE f USING fts5(body)");
    run(connection, "INSERT INTO f VALUES ('the quick fox'), ('a slow snail')");
    assert.deepEqual(run(connection, "SELECT highlight(f, 0, '<', '>') FROM f('quick')"), [[
      "the <quick> fox",
    ]]);
    assert.deepEqual(run(connection, `SELECT '{"a":[1,2]}' ->> '$.a[1]'`), [[2]]);
    assert.deepEqual(run(connection, "SELECT sum(column1) OVER (ORDER BY column1) FROM (VALUES (1), (2))"), [[
      1,
    ], [3]]);
    run(connection, "CREATE TABLE s(id INTEGER PRIMARY KEY, n INT DEFAULT 0) STRICT");
    const upsert = "INSERT INTO s(id) VALUES (1) ON CONFLICT DO UPDATE SET n = n + 1 RETURNING n";
    assert.deepEqual([run(connection, upsert), run(connection, upsert)], [[[0]], [[1]]]);
  });
}
