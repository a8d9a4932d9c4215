import { assert } from "../../core/base/assert.ts";
import { wellFormed } from "../../core/base/utf8.ts";
import type { ResultColumn, RowSink } from "../../core/sql/row_sink.ts";
import { TupleWriter } from "../wire/tuple_writer.ts";
import { KEPT_BYTES_MAX, RowsEncoder, RowsOpening } from "./rows_encoder.ts";

/** What decides the types of values: their columns, as in dqlite, or they themselves. */
export type Typing = "declared" | "storage_class";

/** By the list of columns, which the node keeps as long as the statement. */
const OPENINGS: Readonly<Record<Typing, WeakMap<readonly ResultColumn[], RowsOpening>>> = {
  declared: new WeakMap(),
  storage_class: new WeakMap(),
};

function openingOf(columns: readonly ResultColumn[], typing: Typing): RowsOpening {
  const known = OPENINGS[typing].get(columns);
  if (known !== undefined) return known;
  const plain = columns.map(({ name }) => ({ name, declaredType: undefined }));
  const opening = new RowsOpening(typing === "declared" ? columns : plain);
  OPENINGS[typing].set(columns, opening);
  return opening;
}

/**
 * The rows of the short queries of a connection, one query after the other, encoded where SQLite gives them. One message
 * each: what is short is bounded. It must be sent before the next query begins.
 */
export class RowsSink implements RowSink {
  readonly #typing: Typing;
  readonly #writer = new TupleWriter();
  #encoder: RowsEncoder | undefined;
  #message: Uint8Array | undefined;

  constructor(typing: Typing = "declared") {
    this.#typing = typing;
  }

  /** A query comes, whose rows may find their way here or not. */
  clear(): this {
    this.#encoder = undefined;
    this.#message = undefined;
    // Of a result that became too large for this thread.
    if (this.#writer.capacity > KEPT_BYTES_MAX) this.#writer.take();
    return this;
  }

  begin(columns: readonly ResultColumn[]): void {
    this.#encoder = new RowsEncoder(openingOf(columns, this.#typing), Infinity, this.#writer);
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
  message(): Uint8Array {
    assert(this.#message !== undefined, "A result is sent when it is complete");
    return this.#message;
  }

  get #begun(): RowsEncoder {
    assert(this.#encoder !== undefined, "Columns come before rows");
    return this.#encoder;
  }
}
