import type { ResultColumn } from "../../core/sql/row_sink.ts";
import { RowsEncoder, RowsOpening } from "../../net/dqlite/rows_encoder.ts";
import { type Tuple, ValueType } from "../../net/wire/tuple.ts";

const UTF8 = new TextEncoder();

export function plainColumns(names: readonly string[]): ResultColumn[] {
  return names.map((name) => ({ name, declaredType: undefined }));
}

/** All parts of a result whose rows are given as tuples; the encoder has to find their types by itself. */
export function encodeRows(
  columns: readonly ResultColumn[],
  rows: readonly Tuple[],
  partBytes?: number,
): Uint8Array[] {
  const encoder = new RowsEncoder(new RowsOpening(columns), partBytes);
  const parts = rows.map((row) => {
    const part = encoder.startRow();
    addValues(encoder, row);
    return part;
  });
  return [...parts.filter((part) => part !== undefined), encoder.finish()];
}

export function addValues(encoder: RowsEncoder, { types, values }: Tuple): void {
  values.forEach((value, column) => {
    if (value === null) encoder.null();
    else if (typeof value === "string") encoder.text(UTF8.encode(value));
    else if (value instanceof Uint8Array) encoder.blob(value);
    else if (typeof value === "boolean") encoder.integer(value ? 1 : 0);
    else if (types[column] === ValueType.float) encoder.real(Number(value));
    else encoder.integer(value);
  });
}
