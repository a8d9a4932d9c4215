import type { ValueSink } from "./row_sink.ts";
import type { ResultFormat } from "./values.ts";

/**
 * Writes the values of an answer in one format; bytes of a text that are no UTF-8 become U+FFFD. Commas are the caller's:
 * `separator` goes between elements and between keys, and is nothing in msgpack.
 */
export interface AnswerWriter extends ValueSink {
  readonly format: ResultFormat;
  /** Bytes written so far. */
  readonly length: number;
  separator(): void;
  beginMap(count: number): void;
  endMap(): void;
  key(name: string): void;
  /** A key as bytes for `raw`, where the same key is written for every row. */
  encodeKey(name: string): Uint8Array;
  raw(bytes: Uint8Array): void;
  beginArray(count: number): void;
  endArray(): void;
  /** An array whose length is known at its end; the result goes to `endOpenArray`. */
  beginOpenArray(): number;
  endOpenArray(mark: number, count: number): void;
  string(value: string): void;
  /** Moves what was written after `middle` to `position`, before what stood between. */
  moveTailTo(position: number, middle: number): void;
  /** What was written, in memory of its own. The writer is empty afterwards. */
  take(): Uint8Array;
  /** Forgets what was written. */
  clear(): void;
}
