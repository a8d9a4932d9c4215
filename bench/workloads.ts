/**
 * The one definition of what is measured: tables, statements and values, as data. walraft gets them as HTTP requests, other
 * servers and native SQLite get the same statements with the same values.
 */

/** A part of a request body that differs from call to call; numbers in JSON may have spaces before them. */
export type Slot =
  /** Counts the calls of one connection. */
  | { readonly slot: "sequence" }
  /** From 1 up to and without `below`, evenly spread. */
  | { readonly slot: "random"; readonly below: number };

export type Piece = string | Slot;

/** A request, sent again and again with other values in its slots. */
export interface RequestShape {
  readonly path: string;
  readonly body: readonly Piece[];
  /** How often it is sent, compared with the other requests of its workload. */
  readonly weight: number;
}

export type WorkloadId =
  | "insert_append"
  | "insert_indexed"
  | "update_hot"
  | `read_${Level}_${Role}`
  | "mixed"
  | "batch"
  | "bulk"
  | "readers_alone"
  | "readers_beside_analysis";

export type Level = "linearizable" | "index" | "stale";
export type Role = "leader" | "follower";

export interface Workload {
  readonly id: WorkloadId;
  readonly title: string;
  readonly node: Role;
  readonly requests: readonly RequestShape[];
  readonly rowsPerRequest: number;
  /** Replaces the numbers of connections asked for. */
  readonly connections?: readonly number[];
  /** Sent over and over by one further connection meanwhile. */
  readonly beside?: RequestShape;
}

export interface WorkloadSizes {
  /** Rows of the table that is read, and of the indexed one before anything is inserted. */
  readonly rows: number;
  readonly rowsPerBatch: number;
  /** Rows of one statement of the bulk load. */
  readonly rowsPerBulk: number;
  /** Steps of the analytical query; 0 as long as it is not known how many take 100 ms. */
  readonly analysisSteps: number;
  /** Log index that level `index` asks for. */
  readonly index: number;
}

export const SCHEMA: readonly string[] = [
  "CREATE TABLE appended (id INTEGER PRIMARY KEY, v TEXT)",
  "CREATE TABLE indexed (id INTEGER PRIMARY KEY, k INTEGER, v TEXT)",
  "CREATE INDEX indexed_k ON indexed (k)",
  "CREATE TABLE hot (id INTEGER PRIMARY KEY, n INTEGER)",
  "INSERT INTO hot VALUES (1, 0)",
  "CREATE TABLE bulk (id INTEGER PRIMARY KEY, k INTEGER, v TEXT)",
  "CREATE TABLE point (id INTEGER PRIMARY KEY, v TEXT)",
];

export const KEY_BELOW = 1_000_000_000;
/** The text of a row is this with its number in the middle: 44 characters in all. */
export const ROW_TEXT = ["row ", " with some text, as rows have"] as const;
export const SLOT_WIDTH = 11;

/** Rows of one statement that fills a table: one transaction that every system takes. */
const FILL_STEP = 10_000;

/** Statements that fill the table of the point reads. */
export function fillPoint(rows: number): string[] {
  return fill(rows, "INSERT INTO point", "SELECT i, 'value ' || i FROM n");
}

/**
 * Statements that fill the indexed table with keys spread like those of the inserts: how many pages an insert touches
 * must not depend on how many inserts were measured before it.
 */
export function fillIndexed(rows: number): string[] {
  const key = `1 + (i * 2654435761) % ${KEY_BELOW - 1}`;
  const text = `'${ROW_TEXT[0]}' || i || '${ROW_TEXT[1]}'`;
  return fill(rows, "INSERT INTO indexed (k, v)", `SELECT ${key}, ${text} FROM n`);
}

function fill(rows: number, insert: string, select: string): string[] {
  return Array.from({ length: Math.ceil(rows / FILL_STEP) }, (_, step) => {
    const from = step * FILL_STEP + 1;
    const to = Math.min(rows, (step + 1) * FILL_STEP);
    return `${insert} WITH RECURSIVE n (i) AS (SELECT ${from} UNION ALL SELECT i + 1 FROM n WHERE i < ${to}) ${select}`;
  });
}

export const INSERT_APPEND = "INSERT INTO appended (v) VALUES (?1)";
export const INSERT_INDEXED = "INSERT INTO indexed (k, v) VALUES (?1, ?2)";
export const INSERT_BULK = "INSERT INTO bulk (k, v) VALUES (?1, ?2)";
export const UPDATE_HOT = "UPDATE hot SET n = n + 1 WHERE id = 1";
export const SELECT_POINT = "SELECT v FROM point WHERE id = ?1";
/** One statement, many rows, one parameter: `[[k, "v"], …]`. */
export const INSERT_BULK_JSON = "INSERT INTO bulk (k, v) SELECT value ->> 0, value ->> 1 FROM json_each(?1)";
/** Scans by key in an order that is not the table's; the steps decide how long it takes. */
export const ANALYSIS = `WITH RECURSIVE s (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < ?1)
  SELECT sum(length(v)) FROM s JOIN point ON point.id = 1 + (s.i * 7919) % (SELECT max(id) FROM point)`;

/** Connections of readers in the two workloads around the analytical query. */
export const READER_CONNECTIONS = 64;
const ANALYSIS_MS = 100;

const EXECUTE = "/v1/databases/main/execute";
const BATCH = "/v1/databases/main/batch";
const QUERY = "/v1/databases/main/query";
const sequence: Slot = { slot: "sequence" };
const key: Slot = { slot: "random", below: KEY_BELOW };
const text: readonly Piece[] = [`"${ROW_TEXT[0]}`, sequence, `${ROW_TEXT[1]}"`];

/** `{"sql": …, "params": […]}` with more fields behind them. */
function statement(sql: string, parameters: readonly Piece[], more = ""): readonly Piece[] {
  return [`{"sql":${JSON.stringify(sql)},"params":[`, ...parameters, `]${more}}`];
}

function execute(sql: string, parameters: readonly Piece[], weight = 1): RequestShape {
  return { path: EXECUTE, body: statement(sql, parameters), weight };
}

function pointRead(sizes: WorkloadSizes, level: Level, weight = 1): RequestShape {
  const more = level === "index" ? `,"level":"index","index":${sizes.index}` : `,"level":"${level}"`;
  const id: Slot = { slot: "random", below: sizes.rows + 1 };
  return { path: QUERY, body: statement(SELECT_POINT, [id], more), weight };
}

/** Repeats with commas between. */
function repeat(count: number, each: readonly Piece[]): Piece[] {
  return Array.from({ length: count }, (_, at) => at === 0 ? each : [",", ...each]).flat();
}

export function workloads(sizes: WorkloadSizes): Workload[] {
  const write = { node: "leader", rowsPerRequest: 1 } as const;
  return [
    { ...write, id: "insert_append", title: "insert, append key", requests: [execute(INSERT_APPEND, text)] },
    {
      ...write,
      id: "insert_indexed",
      title: "insert, random indexed key",
      requests: [execute(INSERT_INDEXED, [key, ",", ...text])],
    },
    { ...write, id: "update_hot", title: "update of one hot row", requests: [execute(UPDATE_HOT, [])] },
    ...(["linearizable", "index", "stale"] as const).flatMap((level) =>
      (["leader", "follower"] as const).map((node): Workload => ({
        id: `read_${level}_${node}`,
        title: `point read, ${level}, ${node}`,
        node,
        requests: [pointRead(sizes, level)],
        rowsPerRequest: 1,
      }))
    ),
    {
      ...write,
      id: "mixed",
      title: "90 % point reads, 10 % inserts",
      requests: [pointRead(sizes, "linearizable", 9), execute(INSERT_INDEXED, [key, ",", ...text])],
    },
    ...manyRows(sizes),
    ...analysis(sizes),
  ];
}

function manyRows(sizes: WorkloadSizes): Workload[] {
  const { rowsPerBatch, rowsPerBulk } = sizes;
  const insert = statement(INSERT_BULK, [key, ",", ...text]);
  // A JSON text inside a JSON text: its quotes are escaped.
  const row: Piece[] = ["[", key, `,\\"${ROW_TEXT[0]}`, sequence, `${ROW_TEXT[1]}\\"]`];
  return [
    {
      id: "batch",
      title: `batch of ${rowsPerBatch.toLocaleString("en")} inserts`,
      node: "leader",
      requests: [
        { path: BATCH, body: ['{"statements":[', ...repeat(rowsPerBatch, insert), "]}"], weight: 1 },
      ],
      rowsPerRequest: rowsPerBatch,
      connections: [1, 4, 16],
    },
    {
      id: "bulk",
      title: `bulk load, ${rowsPerBulk.toLocaleString("en")} rows a statement`,
      node: "leader",
      requests: [execute(INSERT_BULK_JSON, ['"[', ...repeat(rowsPerBulk, row), ']"'])],
      rowsPerRequest: rowsPerBulk,
      connections: [1, 4],
    },
  ];
}

function analysis(sizes: WorkloadSizes): Workload[] {
  const readers = {
    node: "leader",
    requests: [pointRead(sizes, "linearizable")],
    rowsPerRequest: 1,
    connections: [READER_CONNECTIONS],
  } as const;
  const beside = { path: QUERY, body: statement(ANALYSIS, [String(sizes.analysisSteps)]), weight: 1 };
  return [
    { ...readers, id: "readers_alone", title: "point reads, nothing beside them" },
    {
      ...readers,
      id: "readers_beside_analysis",
      title: `point reads beside queries of ${ANALYSIS_MS} ms`,
      beside,
    },
  ];
}

/** Steps with which the analytical query should take its time, from how long some number of steps took. */
export function analysisSteps(steps: number, elapsedMs: number): number {
  return Math.max(1, Math.round(steps * ANALYSIS_MS / Math.max(elapsedMs, 0.1)));
}
