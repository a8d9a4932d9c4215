import { assert } from "../../core/base/assert.ts";
import type { ResultColumn } from "../../core/sql/row_sink.ts";
import { EndMarker, rowHeaderBytes, ValueType, writeEndMarker } from "../wire/tuple.ts";
import {
  type DeclaredType,
  declaredTypeOf,
  isIso8601,
  StorageClass,
  wireTypeOf,
} from "../wire/tuple_declared_type.ts";
import { TupleWriter } from "../wire/tuple_writer.ts";
import { beginFrame, endFrame } from "./frame.ts";
import { ResponseType } from "./response.ts";
import { writeColumns } from "./response_codec.ts";

/** Clients take parts of any size; dqlite's 4 KiB only cost more messages. */
export const ROWS_PART_BYTES = 64 * 1024;
/** A writer with a larger buffer gives it away with the last part; a smaller one is used again for the next result. */
export const KEPT_BYTES_MAX = 4 * 1024;

const UTF8 = new TextDecoder();

/** What all parts of the results of one statement have in common; worth keeping as long as the statement. */
export class RowsOpening {
  /** Head of the frame and names of the columns: the beginning of every part. */
  readonly bytes: Uint8Array;
  readonly declaredTypes: readonly DeclaredType[];

  constructor(columns: readonly ResultColumn[]) {
    const writer = new TupleWriter();
    beginFrame(writer);
    writeColumns(writer, columns.map(({ name }) => name));
    this.bytes = writer.take();
    this.declaredTypes = columns.map(({ declaredType }) => declaredTypeOf(declaredType));
  }
}

/**
 * A result as the messages that carry it, part by part: what is complete can be sent while SQLite looks for the next
 * rows. A part ends before a row once it has `partBytes`, so it is larger than that by one row at most.
 */
export class RowsEncoder {
  readonly #opening: RowsOpening;
  readonly #partBytes: number;
  readonly #writer: TupleWriter;
  /** Where the header of the row begins whose values are being written, and the next one's column. */
  #header = 0;
  #column: number;
  #isFinished = false;

  /** @param writer is overwritten: the last part of the result before, if that used it, must be sent */
  constructor(opening: RowsOpening, partBytes = ROWS_PART_BYTES, writer = new TupleWriter()) {
    this.#opening = opening;
    this.#partBytes = partBytes;
    this.#writer = writer;
    writer.cut(0);
    writer.bytes(opening.bytes);
    this.#column = this.#columnCount;
  }

  /** Bytes of the part that is not finished. */
  get length(): number {
    return this.#writer.length;
  }

  get #columnCount(): number {
    return this.#opening.declaredTypes.length;
  }

  /**
   * Begins a row; a value for each column follows.
   *
   * @returns the part before the row when that has become large enough; it is the caller's
   */
  startRow(): Uint8Array<ArrayBuffer> | undefined {
    assert(!this.#isFinished, "A finished result takes no rows");
    assert(this.#columnCount > 0, "There are no rows of a result of 0 columns");
    this.#mustBeWhole();
    // Names of columns alone may be larger than a part; each part still has a row.
    const bytesMin = Math.max(this.#partBytes, this.#opening.bytes.byteLength + 1);
    const part = this.length < bytesMin ? undefined : this.#endPart(EndMarker.more);
    if (part !== undefined) this.#writer.bytes(this.#opening.bytes);
    this.#header = this.#writer.gap(rowHeaderBytes(this.#columnCount));
    this.#column = 0;
    return part;
  }

  null(): void {
    this.#writer.zeros();
    this.#addType(ValueType.null);
  }

  /** A safe integer, or a bigint of at most 64 bits. */
  integer(value: number | bigint): void {
    const type = wireTypeOf(StorageClass.integer, this.#declaredType);
    if (type === ValueType.boolean) this.#writer.u64(value ? 1 : 0);
    else this.#writer.i64(value);
    this.#addType(type);
  }

  real(value: number): void {
    this.#writer.f64(value);
    this.#addType(ValueType.float);
  }

  /** @param utf8 well-formed; one that holds a NUL is sent as a blob: as text its end would be lost */
  text(utf8: Uint8Array): void {
    if (!this.#writer.textBytes(utf8)) return this.blob(utf8);
    const type = wireTypeOf(StorageClass.text, this.#declaredType);
    const isNoTime = type === ValueType.iso8601 && !isIso8601(UTF8.decode(utf8));
    this.#addType(isNoTime ? ValueType.text : type);
  }

  blob(bytes: Uint8Array): void {
    this.#writer.blob(bytes);
    this.#addType(ValueType.blob);
  }

  /** @returns the last part, true until the writer is used again; no row can be added any more */
  finish(): Uint8Array<ArrayBuffer> {
    assert(!this.#isFinished, "A result is finished once");
    this.#mustBeWhole();
    this.#isFinished = true;
    return this.#endPart(EndMarker.done);
  }

  get #declaredType(): DeclaredType {
    return this.#opening.declaredTypes[this.#column] ?? "plain";
  }

  #addType(type: ValueType): void {
    assert(this.#column < this.#columnCount, "A row has no more values than columns");
    this.#writer.patchType(this.#header, this.#column++, type);
  }

  #mustBeWhole(): void {
    assert(
      this.#column === this.#columnCount,
      () => `A row of ${this.#column} values is not of a result of ${this.#columnCount} columns`,
    );
  }

  #endPart(marker: EndMarker): Uint8Array<ArrayBuffer> {
    writeEndMarker(this.#writer, marker);
    endFrame(this.#writer, 0, ResponseType.rows);
    if (marker === EndMarker.more) return this.#writer.take(this.#partBytes + this.#partBytes / 8);
    return this.#writer.capacity <= KEPT_BYTES_MAX ? this.#writer.peek() : this.#writer.take();
  }
}
