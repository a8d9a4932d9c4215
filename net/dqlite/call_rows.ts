import type { ResultColumn, RowSink } from "../../core/sql/row_sink.ts";
import { TupleWriter } from "../wire/tuple_writer.ts";
import type { Answer } from "./answer.ts";
import type { HeadResponse } from "./call.ts";
import { writeResponse } from "./response_codec.ts";
import { RowsSink } from "./rows_sink.ts";

/** Storage classes that a column has had, as bits; NULL has none. */
const Seen = { integer: 1, real: 2, text: 4, blob: 8 } as const;
/** Names of what was seen, as in every answer of the node; anything else is `mixed`. */
const NAMES: ReadonlyMap<number, string> = new Map([
  [0, "null"],
  [Seen.integer, "integer"],
  [Seen.real, "real"],
  [Seen.text, "text"],
  [Seen.blob, "blob"],
]);

/** The rows of the short `read` calls of a connection, as `RowsSink`; before them goes which types they have. */
export class CallRows implements RowSink {
  readonly #rows = new RowsSink("storage_class");
  #seen = new Uint8Array(0);
  #column = 0;

  clear(): this {
    this.#rows.clear();
    return this;
  }

  begin(columns: readonly ResultColumn[]): void {
    this.#seen = new Uint8Array(columns.length);
    this.#rows.begin(columns);
  }

  startRow(): void {
    this.#column = 0;
    this.#rows.startRow();
  }

  null(): void {
    this.#column++;
    this.#rows.null();
  }

  integer(value: number | bigint): void {
    this.#see(Seen.integer);
    this.#rows.integer(value);
  }

  real(value: number): void {
    this.#see(Seen.real);
    this.#rows.real(value);
  }

  text(utf8: Uint8Array): void {
    this.#see(Seen.text);
    this.#rows.text(utf8);
  }

  blob(bytes: Uint8Array): void {
    this.#see(Seen.blob);
    this.#rows.blob(bytes);
  }

  get length(): number {
    return this.#rows.length;
  }

  end(): void {
    this.#rows.end();
  }

  /** After a query that ended here. */
  answer(head: HeadResponse): Answer {
    const rows = this.#rows.message();
    const types = Array.from(this.#seen, (seen) => NAMES.get(seen) ?? "mixed");
    const writer = new TupleWriter(rows.byteLength + HEAD_BYTES);
    writeResponse(writer, head);
    writeResponse(writer, { kind: "outcome", outcomes: [{ changes: 0, lastInsertRowid: 0, types }] });
    if (types.length > 0) writer.bytes(rows);
    return { kind: "message", bytes: writer.take() };
  }

  #see(bit: number): void {
    const column = this.#column++;
    this.#seen[column] = (this.#seen[column] ?? 0) | bit;
  }
}

/** Head and outcome of a few columns. */
const HEAD_BYTES = 256;
