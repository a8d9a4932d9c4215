import { assert } from "../../core/base/assert.ts";
import type { EncodedFields } from "../../core/sql/values.ts";
import type { ResultColumn } from "../../core/sql/row_sink.ts";
import { MsgpackReader } from "./msgpack_reader.ts";
import { RowsEncoder, RowsOpening } from "./rows_encoder.ts";

/**
 * An answer of the node (msgpack, rows as `typed_arrays` or `arrays`) as the protocol wants it. Rows are turned into tuples one by
 * one from the bytes the worker made: no value becomes an object on the way.
 */
export class AnswerReader {
  /** None when the statement returns no rows. */
  readonly columns: readonly ResultColumn[] = [];
  /** Undefined for a query. */
  readonly changes: number | undefined;
  readonly lastInsertRowid: number | bigint | undefined;
  readonly rowCount: number = 0;
  /** Types of the values of each column, as SQLite's storage classes and `mixed`. */
  readonly types: readonly string[] = [];
  readonly #reader: MsgpackReader;
  #rowsOffset = 0;

  /**
   * @param fields undefined for a statement that the node never sees, such as BEGIN
   * @param reader over the same bytes, where the first field begins; given when they are a part of them
   */
  constructor(
    fields: Pick<EncodedFields, "count" | "bytes"> | undefined,
    reader = new MsgpackReader(fields?.bytes ?? new Uint8Array(0)),
  ) {
    this.#reader = reader;
    for (let field = 0; field < (fields?.count ?? 0); field++) {
      switch (reader.string()) {
        case "columns":
          this.columns = readColumns(reader);
          break;
        case "types":
          this.types = Array.from({ length: reader.arrayLength() }, () => reader.string());
          break;
        case "changes":
          this.changes = Number(reader.integer());
          break;
        case "last_insert_rowid":
          this.lastInsertRowid = reader.integer();
          break;
        case "rows":
          this.rowCount = reader.arrayLength();
          this.#rowsOffset = reader.offset;
          for (let row = 0; row < this.rowCount; row++) reader.skip();
          break;
        default:
          reader.skip();
      }
    }
  }

  /** The messages that carry the rows, the last one marked as such; at least one. */
  *parts(): Generator<Uint8Array<ArrayBuffer>, undefined> {
    const encoder = new RowsEncoder(new RowsOpening(this.columns));
    this.#reader.offset = this.#rowsOffset;
    for (let row = 0; row < this.rowCount; row++) {
      const part = encoder.startRow();
      const count = this.#reader.arrayLength();
      assert(count === this.columns.length, "A row has a value for each column");
      for (let column = 0; column < count; column++) addValue(encoder, this.#reader);
      if (part !== undefined) yield part;
    }
    yield encoder.finish();
  }
}

function addValue(encoder: RowsEncoder, reader: MsgpackReader): void {
  switch (reader.kind()) {
    case "null":
      reader.skip();
      return encoder.null();
    case "integer":
      return encoder.integer(reader.integer());
    case "float":
      return encoder.real(reader.float());
    case "blob":
      return encoder.blob(reader.bytes());
    case "text":
      return encoder.text(reader.bytes());
  }
}

function readColumns(reader: MsgpackReader): ResultColumn[] {
  return Array.from({ length: reader.arrayLength() }, () => {
    if (!reader.isArray) return { name: reader.string(), declaredType: undefined };
    reader.arrayLength();
    const name = reader.string();
    if (reader.kind() === "text") return { name, declaredType: reader.string() };
    reader.skip();
    return { name, declaredType: undefined };
  });
}

/** The results of a batch: one reader for each statement. */
export function readBatch(fields: EncodedFields): AnswerReader[] {
  const { bytes } = fields;
  const reader = new MsgpackReader(bytes);
  for (let field = 0; field < fields.count; field++) {
    if (reader.string() === "results") {
      return Array.from(
        { length: reader.arrayLength() },
        () => new AnswerReader({ count: reader.mapLength(), bytes }, reader),
      );
    }
    reader.skip();
  }
  return [];
}
