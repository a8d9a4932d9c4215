import assert from "node:assert/strict";
import { exposeStackPointer } from "./own_stack.ts";

const HEADER = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const I32 = 0x7f;
/** (global (mut i32) (i32.const 9)), or without `mut`; (export "g" (global 0)). */
const withGlobal = (isMutable: 0 | 1): Uint8Array =>
  Uint8Array.from([...HEADER, 6, 6, 1, I32, isMutable, 0x41, 9, 0x0b, 7, 5, 1, 1, 0x67, 3, 0]);

Deno.test("exposeStackPointer(): the first global can be read and moved, all other exports stay", () => {
  const module = new WebAssembly.Module(exposeStackPointer(withGlobal(1)));
  assert.deepEqual(WebAssembly.Module.exports(module).map(({ name, kind }) => `${name} ${kind}`), [
    "g global",
    "walraft_stack_pointer global",
  ]);
  const { g, walraft_stack_pointer: pointer } = new WebAssembly.Instance(module).exports;
  (pointer as WebAssembly.Global).value = 16;
  assert.equal((g as WebAssembly.Global).value, 16);
});

Deno.test("exposeStackPointer(): a module that cannot have a stack pointer is refused", () => {
  assert.throws(() => exposeStackPointer(withGlobal(0)), /not a stack pointer/);
  assert.throws(() => exposeStackPointer(Uint8Array.from(HEADER)), /exports nothing/);
  for (let length = 0; length < withGlobal(1).length; length += 1) {
    const cut = (): WebAssembly.Module =>
      new WebAssembly.Module(exposeStackPointer(withGlobal(1).slice(0, length)));
    assert.throws(cut, Error, `cut after ${length} bytes`);
  }
});
