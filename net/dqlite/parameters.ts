import { type Tuple, ValueType, type WireValue } from "../wire/tuple.ts";

/**
 * A parameter as the rest of walraft takes it (`SqlParameter` of `core/sql/values.ts`): a number that is a safe integer
 * and not -0 is an INTEGER, another a REAL; `{ real }` forces REAL.
 */
export type Parameter = WireValue | { readonly real: number };

/** Parameters of a request, to be bound. Blobs are copied, so that no message holds on to its frame. */
export function parametersOf({ types, values }: Tuple): Parameter[] {
  return values.map((value, index) => {
    if (value instanceof Uint8Array) return value.slice();
    if (typeof value === "number" && types[index] === ValueType.float && isInteger(value)) {
      return { real: value };
    }
    return value;
  });
}

/** Parameters of a request, to be sent. */
export function tupleOf(parameters: readonly Parameter[]): Tuple {
  const types = new Uint8Array(parameters.length);
  const values = parameters.map((parameter, index): WireValue => {
    const isReal = typeof parameter === "object" && parameter !== null && "real" in parameter;
    const value = isReal ? parameter.real : parameter;
    types[index] = isReal ? ValueType.float : typeOf(value);
    return value;
  });
  return { types, values };
}

function typeOf(value: WireValue): ValueType {
  switch (typeof value) {
    case "number":
      return isInteger(value) ? ValueType.integer : ValueType.float;
    case "bigint":
      return ValueType.integer;
    case "string":
      return ValueType.text;
    case "boolean":
      return ValueType.boolean;
    default:
      return value === null ? ValueType.null : ValueType.blob;
  }
}

function isInteger(value: number): boolean {
  return Number.isSafeInteger(value) && !Object.is(value, -0);
}
