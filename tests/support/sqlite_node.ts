/** A node for tests of the shell and of `load`: the HTTP API over native SQLite databases in memory. */
import { DatabaseSync, type SQLInputValue, type SQLOutputValue } from "node:sqlite";
import { answer, clusterAnswer, failure, ScriptedNode, type SeenRequest } from "./scripted_node.ts";

interface StatementBody {
  readonly sql: string;
  readonly params?: readonly unknown[] | { readonly [name: string]: unknown };
}

function fromJson(value: unknown): SQLInputValue {
  if (typeof value === "boolean") return value ? 1n : 0n;
  if (Number.isInteger(value)) return BigInt(value as number);
  const tagged = value as { int64?: string; base64?: string; real?: number } | null;
  if (typeof tagged?.int64 === "string") return BigInt(tagged.int64);
  if (typeof tagged?.base64 === "string") return Uint8Array.fromBase64(tagged.base64);
  return value as SQLInputValue;
}

function toJson(value: SQLOutputValue): unknown {
  if (typeof value === "bigint") {
    return Number.isSafeInteger(Number(value)) ? Number(value) : { int64: `${value}` };
  }
  if (value instanceof Uint8Array) return { base64: value.toBase64() };
  return value;
}

function run(db: DatabaseSync, body: StatementBody): object {
  const statement = db.prepare(body.sql);
  // Missing from the types of this Deno.
  (statement as unknown as { setReturnArrays(on: boolean): void }).setReturnArrays(true);
  statement.setReadBigInts(true);
  const columns = statement.columns();
  const params = Array.isArray(body.params) ? body.params.map(fromJson) : [];
  if (columns.length === 0) {
    const { changes, lastInsertRowid } = statement.run(...params);
    return { changes: Number(changes), last_insert_rowid: Number(lastInsertRowid) };
  }
  const rows = statement.all(...params) as unknown as SQLOutputValue[][];
  return {
    changes: 0,
    last_insert_rowid: 0,
    columns: columns.map((column) => column.name),
    types: columns.map((column) => column.type),
    rows: rows.map((row) => row.map(toJson)),
  };
}

function toFailure(error: unknown, details: object = {}): Response {
  const message = error instanceof Error ? error.message : String(error);
  if (/readonly database/.test(message)) return failure("read_only", { message, ...details }, 400);
  const code = /constraint failed/.test(message) ? "constraint_failed" : "sql_error";
  return failure(code, { message, ...details }, 400);
}

export class SqliteNode extends ScriptedNode {
  readonly databases = new Map<string, DatabaseSync>();
  #index = 10;
  /** Restored databases are files here. */
  #folder: string | undefined;

  constructor() {
    super((request) => this.#answer(request));
  }

  /** Rows of a database as native SQLite gives them. */
  rows(database: string, sql: string): unknown[] {
    return (this.databases.get(database)?.prepare(sql).all() ?? []).map((row) => ({ ...row }));
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    for (const db of this.databases.values()) db.close();
    if (this.#folder !== undefined) await Deno.remove(this.#folder, { recursive: true });
  }

  #answer(request: SeenRequest): Response {
    const [, , area, encodedName, call] = request.path.replace(/\?.*/, "").split("/");
    if (area === "cluster") return clusterAnswer([this], this);
    const name = decodeURIComponent(encodedName ?? "");
    if (name === "") {
      return answer({ databases: [...this.databases.keys()].map((each) => this.#describe(each)) });
    }
    if (request.method === "PUT") return this.#restore(name, request.bytes);
    let db = this.databases.get(name);
    if (db === undefined) {
      if (call !== "execute" && call !== "batch") return failure("database_not_found", {}, 404);
      db = new DatabaseSync(":memory:");
      this.databases.set(name, db);
    }
    const body = request.json as unknown as StatementBody & { statements: StatementBody[] };
    if (call === "query") return this.#query(db, body);
    if (call === "execute") return this.#write(() => run(db, body));
    if (call === "batch") return this.#batch(db, body.statements);
    if (call === "backup") return this.#backup(db);
    return answer(this.#describe(name));
  }

  #describe(name: string): object {
    return {
      name,
      id: 1,
      page_size: 4096,
      pages: 3,
      bytes: 12_288,
      index: this.#index,
      tip: this.#index,
      checkpoint_index: 2,
    };
  }

  #query(db: DatabaseSync, body: StatementBody): Response {
    db.exec("PRAGMA query_only = ON");
    try {
      return answer({ ...run(db, body), index: this.#index, level: "linearizable", time_ms: 0.5 });
    } catch (error) {
      return toFailure(error);
    } finally {
      db.exec("PRAGMA query_only = OFF");
    }
  }

  #write(work: () => object): Response {
    try {
      return answer({ ...work(), index: ++this.#index, time_ms: 0.5 });
    } catch (error) {
      return toFailure(error);
    }
  }

  #batch(db: DatabaseSync, statements: readonly StatementBody[]): Response {
    const results: object[] = [];
    db.exec("BEGIN");
    try {
      for (const statement of statements) results.push(run(db, statement));
      db.exec("COMMIT");
    } catch (error) {
      db.exec("ROLLBACK");
      return toFailure(error, { statement_index: results.length });
    }
    return answer({ results, index: ++this.#index, time_ms: 0.5 });
  }

  #restore(name: string, bytes: Uint8Array): Response {
    this.#folder ??= Deno.makeTempDirSync();
    const path = `${this.#folder}/${++this.#index}.db`;
    Deno.writeFileSync(path, bytes);
    const db = new DatabaseSync(path);
    const check = db.prepare("PRAGMA integrity_check").get() as { integrity_check: string };
    if (check.integrity_check !== "ok") return failure("database_file_invalid", {}, 422);
    this.databases.get(name)?.close();
    this.databases.set(name, db);
    return answer({ index: this.#index, pages: bytes.length / 4096, page_size: 4096 });
  }

  #backup(db: DatabaseSync): Response {
    const path = Deno.makeTempFileSync();
    Deno.removeSync(path);
    db.exec(`VACUUM INTO '${path}'`);
    const bytes = Deno.readFileSync(path);
    Deno.removeSync(path);
    return new Response(bytes);
  }
}
