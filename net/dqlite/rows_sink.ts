import { assert } from "../../core/base/assert.ts";
import { wellFormed } from "../../core/base/utf8.ts";
import type { ResultColumn, RowSink } from "../../core/sql/row_sink.ts";
import { TupleWriter } from "../wire/tuple_writer.ts";
import type { Answer } from "./answer.ts";
import { ROWS_PART_BYTES, RowsEncoder, RowsOpening } from "./rows_encoder.ts";

/** By the list of columns, which the node keeps as long as the statement. */
const OPENINGS = new WeakMap<readonly ResultColumn[], RowsOpening>();

/**
 * The rows of the queries of a connection, one after the other, as messages that are encoded where SQLite gives them. One
 * answer must be sent before the next query begins.
 */
export class RowsSink implements RowSink {
  readonly #writer = new TupleWriter();
  #parts: Uint8Array[] = [];
  #partsBytes = 0;
  #encoder: RowsEncoder | undefined;
  #isComplete = false;

  /** A query comes, which may find its way here or not. */
  clear(): this {
    this.#parts = [];
    this.#partsBytes = 0;
    this.#encoder = undefined;
    this.#isComplete = false;
    return this;
  }

  begin(columns: readonly ResultColumn[]): void {
    let opening = OPENINGS.get(columns);
    if (opening === undefined) OPENINGS.set(columns, opening = new RowsOpening(columns));
    this.#encoder = new RowsEncoder(opening, ROWS_PART_BYTES, this.#writer);
  }

  startRow(): void {
    this.#push(this.#begun.startRow());
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
    return this.#partsBytes + this.#begun.length;
  }

  end(): void {
    this.#push(this.#begun.finish());
    this.#isComplete = true;
  }

  /** The query ended here: there is an answer. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  answer(): Answer {
    assert(this.#isComplete, "A result is sent when it is complete");
    const [first, second] = this.#parts;
    if (first !== undefined && second === undefined) return { kind: "message", bytes: first };
    return { kind: "parts", parts: this.#parts, bytes: this.#partsBytes };
  }

  get #begun(): RowsEncoder {
    assert(this.#encoder !== undefined, "Columns come before rows");
    return this.#encoder;
  }

  #push(part: Uint8Array | undefined): void {
    if (part === undefined) return;
    this.#parts.push(part);
    this.#partsBytes += part.byteLength;
  }
}
