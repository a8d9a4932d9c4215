/**
 * Gives an instance a stack that cannot run into its data.
 *
 * In both builds C's stack (512 KiB) lies above the constants and variables of SQLite, and nothing checks its end: a
 * chain of 600 triggers overwrote them. V8 does check the end of its own stack, of which each call takes a part as
 * well. So C gets a stack larger than V8's lets it fill, and V8's end is always found first: a RangeError, which ends
 * the instance (promise 7).
 */
import { assert } from "../../base/assert.ts";

/**
 * The most that was seen in use when V8 ended it is 1 MiB; eight times that leaves room for code with smaller frames in
 * V8. Pages that are never touched cost no memory.
 */
export const STACK_BYTES = 8 * 1024 * 1024;
const STACK_ALIGNMENT = 16;
const STACK_POINTER = "walraft_stack_pointer";

const HEADER_BYTES = 8;
const GLOBAL_SECTION = 6;
const EXPORT_SECTION = 7;
const GLOBAL_KIND = 3;
const I32 = 0x7f;
const MUTABLE = 1;

/**
 * The same module with one more export: its first global, which LLVM always makes the stack pointer.
 *
 * @throws Error when the module is built otherwise
 */
export function exposeStackPointer(wasm: Uint8Array): Uint8Array<ArrayBuffer> {
  let position = HEADER_BYTES;
  let hasStackPointer = false;
  while (position < wasm.length) {
    const start = position;
    const id = wasm[position]!;
    const size = readUnsigned(wasm, position + 1);
    const end = size.next + size.value;
    if (id === GLOBAL_SECTION) {
      const content = readUnsigned(wasm, size.next).next;
      hasStackPointer = wasm[content] === I32 && wasm[content + 1] === MUTABLE;
    }
    if (id === EXPORT_SECTION) {
      assert(hasStackPointer, "The first global of this build of SQLite is not a stack pointer");
      const count = readUnsigned(wasm, size.next);
      const name = new TextEncoder().encode(STACK_POINTER);
      const content = [...unsigned(count.value + 1), ...wasm.subarray(count.next, end)];
      content.push(name.length, ...name, GLOBAL_KIND, 0);
      const section = [id, ...unsigned(content.length), ...content];
      const result = new Uint8Array(wasm.length + section.length - (end - start));
      result.set(wasm.subarray(0, start));
      result.set(section, start);
      result.set(wasm.subarray(end), start + section.length);
      return result;
    }
    position = end;
  }
  throw new Error("This build of SQLite exports nothing");
}

/** Call it before anything else runs in the instance. */
export function moveStack(exports: WebAssembly.Exports, allocate: (bytes: number) => number): void {
  const bottom = allocate(STACK_BYTES);
  assert(bottom !== 0, "There is no memory for the stack of SQLite");
  const top = bottom + STACK_BYTES;
  (exports[STACK_POINTER] as WebAssembly.Global).value = top - top % STACK_ALIGNMENT;
}

function readUnsigned(bytes: Uint8Array, position: number): { value: number; next: number } {
  let value = 0;
  for (let [next, shift] = [position, 0];; next += 1, shift += 7) {
    const byte = bytes[next] ?? 0;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return { value, next: next + 1 };
  }
}

/** Unsigned LEB128. */
function unsigned(value: number): readonly number[] {
  return value < 0x80 ? [value] : [value & 0x7f | 0x80, ...unsigned(value >>> 7)];
}
