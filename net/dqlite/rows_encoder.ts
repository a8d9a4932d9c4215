import { assert } from "../../core/base/assert.ts";
import { EndMarker, type Tuple, ValueType, type WireValue, writeEndMarker, writeRow } from "../wire/tuple.ts";
import { TupleError } from "../wire/tuple_error.ts";
import { TupleWriter } from "../wire/tuple_writer.ts";
import { beginFrame, endFrame } from "./frame.ts";
import { ResponseType } from "./response.ts";
import { writeColumns } from "./response_codec.ts";

/** Clients take parts of any size; dqlite's 4 KiB only cost more messages. */
export const ROWS_PART_BYTES = 64 * 1024;

const UTF8 = new TextEncoder();

/**
 * A result as the messages that carry it, part by part: what is complete can be sent while SQLite looks for the next
 * rows. A part ends before a row once it has `partBytes`, so it is larger than that by one row at most.
 */
export class RowsEncoder {
  readonly #columnCount: number;
  readonly #partBytes: number;
  /** Head of the frame and names of the columns, repeated in every part: so many bytes of the first one. */
  readonly #openingBytes: number;
  /** Where rows go that are written column by column, after `startRow()`. */
  readonly writer = new TupleWriter();
  #isFinished = false;

  constructor(columns: readonly string[], partBytes = ROWS_PART_BYTES) {
    this.#columnCount = columns.length;
    this.#partBytes = partBytes;
    beginFrame(this.writer);
    writeColumns(this.writer, columns);
    this.#openingBytes = this.writer.length;
  }

  /**
   * Adds a row. A text that holds a NUL is sent as a blob of its UTF-8: as text its end would be lost.
   *
   * @returns the part before the row when that has become large enough; it is the caller's
   * @throws TupleError `type` when a value does not fit its type; the next part then is a Failure
   */
  add(row: Tuple): Uint8Array<ArrayBuffer> | undefined {
    assert(
      row.values.length === this.#columnCount,
      () => `A row of ${row.values.length} values is not of a result of ${this.#columnCount} columns`,
    );
    const part = this.startRow();
    try {
      writeRow(this.writer, row);
    } catch (error) {
      if (!(error instanceof TupleError)) throw error;
      writeRow(this.writer, nulTextsAsBlobs(row));
    }
    return part;
  }

  /**
   * For a row that comes column by column: what follows is its header and its values, written with `writer`.
   *
   * @returns as `add`
   */
  startRow(): Uint8Array<ArrayBuffer> | undefined {
    assert(!this.#isFinished, "A finished result takes no rows");
    assert(this.#columnCount > 0, "There are no rows of a result of 0 columns");
    // Names of columns alone may be larger than a part; each part still has a row.
    const bytesMin = Math.max(this.#partBytes, this.#openingBytes + 1);
    if (this.writer.length < bytesMin) return undefined;
    const part = this.#endPart(EndMarker.more);
    this.writer.bytes(part.subarray(0, this.#openingBytes));
    return part;
  }

  /** @returns the last part; no row can be added any more */
  finish(): Uint8Array<ArrayBuffer> {
    assert(!this.#isFinished, "A result is finished once");
    this.#isFinished = true;
    return this.#endPart(EndMarker.done);
  }

  #endPart(marker: EndMarker): Uint8Array<ArrayBuffer> {
    writeEndMarker(this.writer, marker);
    endFrame(this.writer, 0, ResponseType.rows);
    return this.writer.take(marker === EndMarker.more ? this.#partBytes + this.#partBytes / 8 : 0);
  }
}

function nulTextsAsBlobs({ types, values }: Tuple): Tuple {
  const blobs: WireValue[] = [...values];
  const blobTypes = Uint8Array.from(types);
  values.forEach((value, column) => {
    if (typeof value !== "string" || !value.includes("\0")) return;
    blobs[column] = UTF8.encode(value);
    blobTypes[column] = ValueType.blob;
  });
  return { types: blobTypes, values: blobs };
}
