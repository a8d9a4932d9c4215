import { assert } from "../../core/base/assert.ts";
import { wellFormed } from "../../core/base/utf8.ts";
import type { ResultColumn, RowSink } from "../../core/sql/row_sink.ts";
import { TupleWriter } from "../wire/tuple_writer.ts";
import type { Answer } from "./answer.ts";
import { KEPT_BYTES_MAX, RowsEncoder, RowsOpening } from "./rows_encoder.ts";

/** By the list of columns, which the node keeps as long as the statement. */
const OPENINGS = new WeakMap<readonly ResultColumn[], RowsOpening>();

/**
 * The rows of the short queries of a connection, one query after the other, encoded where SQLite gives them. One message
 * each: what is short is bounded. It must be sent before the next query begins.
 */
export class RowsSink implements RowSink {
  readonly #writer = new TupleWriter();
  #encoder: RowsEncoder | undefined;
  #message: Uint8Array | undefined;

  /** A query comes, whose rows may find their way here or not. */
  clear(): this {
    this.#encoder = undefined;
    this.#message = undefined;
    // Of a result that became too large for this thread.
    if (this.#writer.capacity > KEPT_BYTES_MAX) this.#writer.take();
    return this;
  }

  begin(columns: readonly ResultColumn[]): void {
    let opening = OPENINGS.get(columns);
    if (opening === undefined) OPENINGS.set(columns, opening = new RowsOpening(columns));
    this.#encoder = new RowsEncoder(opening, Infinity, this.#writer);
  }

  startRow(): void {
    this.#begun.startRow();
  }

  null(): void {
    this.#begun.null();
  }

  integer(value: number | bigint): void {
    this.#begun.integer(value);
  }

  real(value: number): void {
    this.#begun.real(value);
  }

  text(utf8: Uint8Array): void {
    this.#begun.text(wellFormed(utf8));
  }

  blob(bytes: Uint8Array): void {
    this.#begun.blob(bytes);
  }

  get length(): number {
    return this.#begun.length;
  }

  end(): void {
    this.#message = this.#begun.finish();
  }

  /** After a query that ended here. */
  answer(): Answer {
    assert(this.#message !== undefined, "A result is sent when it is complete");
    return { kind: "message", bytes: this.#message };
  }

  get #begun(): RowsEncoder {
    assert(this.#encoder !== undefined, "Columns come before rows");
    return this.#encoder;
  }
}
