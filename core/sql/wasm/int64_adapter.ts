/**
 * Assembles a small WebAssembly module that stands between JavaScript and an instance of SQLite which passes 64-bit
 * integers as such. JavaScript would see them as BigInt, an allocation for each offset of each page read; the adapter
 * splits them into two 32-bit halves, low half first. It also gives JavaScript functions a type of WebAssembly,
 * without which they cannot be put into the table of C's function pointers.
 *
 * Binary format: https://webassembly.github.io/spec/core/binary/.
 */

/** Parameters, a colon, the result: `i` has 32 bits, `I` has 64, no result is nothing. `iiI:i`, `i:I`, `i:`. */
export type Signature = string;

export interface AdaptedFunctions {
  /** Functions of C that JavaScript calls. */
  readonly calls: Readonly<Record<string, Signature>>;
  /** Functions of JavaScript that C calls. Results have 32 bits. */
  readonly callbacks: Readonly<Record<string, Signature>>;
}

interface FunctionPair {
  readonly group: "calls" | "callbacks";
  readonly name: string;
  readonly parameters: string;
  readonly result: string;
}

type Bytes = readonly number[];

const I32 = 0x7f;
const I64 = 0x7e;
const FUNCTION_TYPE = 0x60;
const FUNCTION_KIND = 0x00;
const Section = { types: 1, imports: 2, functions: 3, globals: 6, exports: 7, code: 10 } as const;
const Op = {
  end: 0x0b,
  call: 0x10,
  localGet: 0x20,
  localTee: 0x22,
  globalGet: 0x23,
  globalSet: 0x24,
  i32Const: 0x41,
  i64Const: 0x42,
  i64Or: 0x84,
  i64ShiftLeft: 0x86,
  i64ShiftRightSigned: 0x87,
  i32Wrap: 0xa7,
  i64ExtendSigned: 0xac,
  i64ExtendUnsigned: 0xad,
} as const;
const HALF_BITS = 32;

/**
 * The compiled adapter. Instantiate it with `{ calls, callbacks }`; it exports every function under its own name, with
 * the other side's types, and `high`, which gives the high half of the last 64-bit result of a call.
 */
export function compileInt64Adapter(functions: AdaptedFunctions): WebAssembly.Module {
  return new WebAssembly.Module(Uint8Array.from(assemble([
    ...pairs("calls", functions.calls),
    ...pairs("callbacks", functions.callbacks),
  ])));
}

function pairs(
  group: FunctionPair["group"],
  signatures: Readonly<Record<string, Signature>>,
): FunctionPair[] {
  return Object.entries(signatures).map(([name, signature]) => {
    const [parameters = "", result = ""] = signature.split(":");
    return { group, name, parameters, result };
  });
}

/** Types, imports and functions of pair k: types 2k (C) and 2k + 1 (JavaScript), import k, function count + k. */
function assemble(all: readonly FunctionPair[]): Bytes {
  const highType = 2 * all.length;
  const cSide = (position: number): Bytes => unsigned(2 * position);
  const jsSide = (position: number): Bytes => unsigned(2 * position + 1);
  return [
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(Section.types, [...all.flatMap((pair) => [cType(pair), jsType(pair)]), type([], [I32])]),
    ...section(
      Section.imports,
      all.map(({ group, name }, k) => [
        ...text(group),
        ...text(name),
        FUNCTION_KIND,
        ...(group === "calls" ? cSide(k) : jsSide(k)),
      ]),
    ),
    ...section(Section.functions, [
      ...all.map(({ group }, k) => group === "calls" ? jsSide(k) : cSide(k)),
      unsigned(highType),
    ]),
    ...section(Section.globals, [[I32, 1, Op.i32Const, 0, Op.end]]),
    ...section(
      Section.exports,
      [...all.map(({ name }) => name), "high"].map((name, k) => [
        ...text(name),
        FUNCTION_KIND,
        ...unsigned(all.length + k),
      ]),
    ),
    ...section(Section.code, [
      ...all.map((pair, k) => pair.group === "calls" ? callBody(pair, k) : callbackBody(pair, k)),
      body([], [Op.globalGet, 0]),
    ]),
  ];
}

function cType({ parameters, result }: FunctionPair): Bytes {
  const valueType = (letter: string): number => letter === "I" ? I64 : I32;
  return type(Array.from(parameters, valueType), Array.from(result, valueType));
}

function jsType({ parameters, result }: FunctionPair): Bytes {
  const halves = Array.from(parameters).flatMap((letter) => letter === "I" ? [I32, I32] : [I32]);
  return type(halves, result === "" ? [] : [I32]);
}

/** Joins halves, calls C, splits the result. */
function callBody({ parameters, result }: FunctionPair, target: number): Bytes {
  const code: number[] = [];
  let local = 0;
  for (const letter of parameters) {
    code.push(Op.localGet, ...unsigned(local));
    local += 1;
    if (letter !== "I") continue;
    code.push(Op.i64ExtendUnsigned, Op.localGet, ...unsigned(local), Op.i64ExtendSigned);
    code.push(Op.i64Const, HALF_BITS, Op.i64ShiftLeft, Op.i64Or);
    local += 1;
  }
  code.push(Op.call, ...unsigned(target));
  if (result !== "I") return body([], code);
  code.push(Op.localTee, ...unsigned(local), Op.i64Const, HALF_BITS, Op.i64ShiftRightSigned, Op.i32Wrap);
  code.push(Op.globalSet, 0, Op.localGet, ...unsigned(local), Op.i32Wrap);
  return body([1, I64], code);
}

/** Splits parameters, calls JavaScript. */
function callbackBody({ parameters }: FunctionPair, target: number): Bytes {
  const code: number[] = [];
  for (const [local, letter] of Array.from(parameters).entries()) {
    const get = [Op.localGet, ...unsigned(local)];
    code.push(...get);
    if (letter !== "I") continue;
    code.push(Op.i32Wrap, ...get, Op.i64Const, HALF_BITS, Op.i64ShiftRightSigned, Op.i32Wrap);
  }
  return body([], [...code, Op.call, ...unsigned(target)]);
}

/** @param locals one group: how many, and their type */
function body(locals: Bytes, code: Bytes): Bytes {
  const content = [locals.length === 0 ? 0 : 1, ...locals, ...code, Op.end];
  return [...unsigned(content.length), ...content];
}

function type(parameters: Bytes, results: Bytes): Bytes {
  return [FUNCTION_TYPE, ...unsigned(parameters.length), ...parameters, results.length, ...results];
}

function section(id: number, items: readonly Bytes[]): Bytes {
  const content = [...unsigned(items.length), ...items.flat()];
  return [id, ...unsigned(content.length), ...content];
}

function text(value: string): Bytes {
  return [...unsigned(value.length), ...new TextEncoder().encode(value)];
}

/** Unsigned LEB128. */
function unsigned(value: number): Bytes {
  return value < 0x80 ? [value] : [value & 0x7f | 0x80, ...unsigned(value >>> 7)];
}
