import type { SqlParameters } from "../sql/values.ts";
import type { WriteRequest } from "./service.ts";

/** About what the request takes in memory. */
export function requestSize(request: WriteRequest): number {
  let bytes = 0;
  for (const statement of request.statements) {
    bytes += statement.sql.length + parametersSize(statement.parameters);
  }
  return bytes;
}

function parametersSize(parameters: SqlParameters): number {
  let bytes = 0;
  for (const value of Object.values(parameters)) {
    if (typeof value === "string" || value instanceof Uint8Array) bytes += value.length;
    bytes += 16;
  }
  return bytes;
}
