/**
 * The control part of a frame: one msgpack array of scalars in a fixed order. Arrays and maps inside it are not part
 * of the format, so what a received one can make us allocate is bounded by its own length.
 */
import { Decoder, Encoder } from "@msgpack/msgpack";
import { LIMITS } from "../../core/base/limits.ts";
import { WireError } from "./wire_error.ts";

export type ControlValue = number | string | boolean | null | Uint8Array;

const encoder = new Encoder();
const decoder = new Decoder({
  maxArrayLength: 0,
  maxMapLength: 0,
  maxExtLength: 0,
  maxStrLength: LIMITS.peerFrameBytesMax,
  maxBinLength: LIMITS.peerFrameBytesMax,
});

export function encodeControl(fields: readonly ControlValue[]): Uint8Array {
  return encoder.encode(fields);
}

/** Reads the fields of a control part in order; every read names its field and throws WireError when it does not fit. */
export class ControlReader {
  readonly #what: string;
  readonly #fields: readonly unknown[];
  #next = 0;

  /** @param what name of the frame for messages of errors */
  constructor(control: Uint8Array, what: string) {
    this.#what = what;
    this.#fields = decodeFields(control, what);
  }

  get remaining(): number {
    return this.#fields.length - this.#next;
  }

  /** A whole number from 0 to `max`. */
  unsigned(field: string, max: number = Number.MAX_SAFE_INTEGER): number {
    const value = this.#take(field);
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0 || value > max) {
      throw this.#error(field, `a whole number from 0 to ${max}`, value);
    }
    return value;
  }

  boolean(field: string): boolean {
    const value = this.#take(field);
    if (typeof value !== "boolean") throw this.#error(field, "true or false", value);
    return value;
  }

  /** @param lengthMax in UTF-16 units */
  text(field: string, lengthMax: number): string {
    const value = this.#take(field);
    if (typeof value !== "string" || value.length > lengthMax) {
      throw this.#error(field, `a text of at most ${lengthMax} characters`, value);
    }
    return value;
  }

  /** A view of the frame, not a copy. */
  bytes(field: string, lengthMax: number): Uint8Array {
    const value = this.#take(field);
    if (!(value instanceof Uint8Array) || value.byteLength > lengthMax) {
      throw this.#error(field, `at most ${lengthMax} bytes`, value);
    }
    return value;
  }

  /** `read` unless the field is nil. */
  optional<T>(read: () => T): T | undefined {
    if (this.#fields[this.#next] !== null) return read();
    this.#next += 1;
    return undefined;
  }

  /** Throws when fields are left: a frame of the agreed version has exactly its fields. */
  end(): void {
    if (this.remaining !== 0) {
      throw new WireError(`Cannot read ${this.#what}: ${this.remaining} fields after its last one`);
    }
  }

  #take(field: string): unknown {
    if (this.remaining === 0) throw new WireError(`Cannot read ${this.#what}: field ${field} is missing`);
    const value = this.#fields[this.#next];
    this.#next += 1;
    return value;
  }

  #error(field: string, expected: string, found: unknown): WireError {
    return new WireError(`Cannot read ${this.#what}: ${field} must be ${expected}, not ${describe(found)}`);
  }
}

function decodeFields(control: Uint8Array, what: string): unknown[] {
  const { length, offset } = arrayHead(control, what);
  const fields: unknown[] = [];
  try {
    for (const value of decoder.decodeMulti(control.subarray(offset))) fields.push(value);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new WireError(`Cannot read ${what}: its control part is not flat msgpack: ${reason}`);
  }
  if (fields.length !== length) {
    throw new WireError(`Cannot read ${what}: ${fields.length} fields where its array announces ${length}`);
  }
  return fields;
}

/** https://github.com/msgpack/msgpack/blob/master/spec.md#array-format-family */
function arrayHead(control: Uint8Array, what: string): { length: number; offset: number } {
  const view = new DataView(control.buffer, control.byteOffset, control.byteLength);
  const first = control.byteLength === 0 ? 0 : view.getUint8(0);
  if (first >= 0x90 && first <= 0x9f) return { length: first - 0x90, offset: 1 };
  if (first === 0xdc && control.byteLength >= 3) return { length: view.getUint16(1), offset: 3 };
  if (first === 0xdd && control.byteLength >= 5) return { length: view.getUint32(1), offset: 5 };
  throw new WireError(`Cannot read ${what}: its control part is not a msgpack array`);
}

function describe(value: unknown): string {
  if (typeof value === "string") return `a text of ${value.length} characters`;
  if (value instanceof Uint8Array) return `${value.byteLength} bytes`;
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
