import { assert } from "../../core/base/assert.ts";
import type { EncodedFields } from "../../core/sql/values.ts";
import { rowHeaderBytes, ValueType } from "../wire/tuple.ts";
import {
  type DeclaredType,
  declaredTypeOf,
  isIso8601,
  StorageClass,
  wireTypeOf,
} from "../wire/tuple_declared_type.ts";
import { MsgpackReader } from "./msgpack_reader.ts";
import { RowsEncoder } from "./rows_encoder.ts";

/**
 * An answer of the node (msgpack, rows as `typed_arrays` or `arrays`) as the protocol wants it. Rows are turned into tuples one by
 * one from the bytes the worker made: no value becomes an object on the way.
 */
export class AnswerReader {
  /** Names of the columns; none when the statement returns no rows. */
  readonly columns: readonly string[] = [];
  /** Undefined for a query. */
  readonly changes: number | undefined;
  readonly lastInsertRowid: number | bigint | undefined;
  readonly rowCount: number = 0;
  /** Types of the values of each column, as SQLite's storage classes and `mixed`. */
  readonly types: readonly string[] = [];
  readonly #declaredTypes: readonly DeclaredType[] = [];
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
        case "columns": {
          const columns = readColumns(reader);
          this.columns = columns.map(({ name }) => name);
          this.#declaredTypes = columns.map(({ declaredType }) => declaredType);
          break;
        }
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
    const encoder = new RowsEncoder(this.columns);
    this.#reader.offset = this.#rowsOffset;
    for (let row = 0; row < this.rowCount; row++) {
      const part = encoder.startRow();
      this.#addRow(encoder);
      if (part !== undefined) yield part;
    }
    yield encoder.finish();
  }

  #addRow({ writer }: RowsEncoder): void {
    const count = this.#reader.arrayLength();
    assert(count === this.columns.length, "A row has a value for each column");
    const header = writer.gap(rowHeaderBytes(count));
    for (let column = 0; column < count; column++) {
      writer.patchType(header, column, this.#addValue(writer, this.#declaredTypes[column] ?? "plain"));
    }
  }

  #addValue(writer: RowsEncoder["writer"], declaredType: DeclaredType): ValueType {
    const reader = this.#reader;
    switch (reader.kind()) {
      case "null":
        reader.skip();
        writer.zeros();
        return ValueType.null;
      case "integer": {
        const value = reader.integer();
        const type = wireTypeOf(StorageClass.integer, declaredType);
        if (type === ValueType.boolean) writer.u64(value ? 1 : 0);
        else writer.i64(value);
        return type;
      }
      case "float":
        writer.f64(reader.float());
        return ValueType.float;
      case "blob":
        writer.blob(reader.bytes());
        return ValueType.blob;
      case "text": {
        const utf8 = reader.bytes();
        const type = wireTypeOf(StorageClass.text, declaredType);
        // As text its end would be lost.
        if (!writer.textBytes(utf8)) {
          writer.blob(utf8);
          return ValueType.blob;
        }
        return type === ValueType.iso8601 && !isIso8601(UTF8.decode(utf8)) ? ValueType.text : type;
      }
    }
  }
}

const UTF8 = new TextDecoder();

function readColumns(reader: MsgpackReader): { name: string; declaredType: DeclaredType }[] {
  return Array.from({ length: reader.arrayLength() }, () => {
    if (!reader.isArray) return { name: reader.string(), declaredType: "plain" };
    reader.arrayLength();
    const name = reader.string();
    if (reader.kind() === "text") return { name, declaredType: declaredTypeOf(reader.string()) };
    reader.skip();
    return { name, declaredType: "plain" };
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
