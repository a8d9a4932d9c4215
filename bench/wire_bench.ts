/**
 * How fast append messages become frames and frames become messages, for one entry of 1, 16 and 64 KiB, and for a
 * batch of sixteen small ones. One line per result; the hash shows that two runs did the same work.
 *
 *     deno run -A bench/wire_bench.ts [smoke]
 */
import { crc32 } from "../core/codec/crc32.ts";
import { LIMITS } from "../core/base/limits.ts";
import type { AppendMessage } from "../core/raft/message.ts";
import { frameBytes } from "../net/wire/frame.ts";
import { FrameReader } from "../net/wire/frame_reader.ts";
import { decodeMessage, encodeMessage } from "../net/wire/message_codec.ts";

const KIB = 1024;

interface Shape {
  readonly name: string;
  readonly entries: number;
  readonly entryBytes: number;
}

const SHAPES: readonly Shape[] = [
  { name: "1 x 1 KiB", entries: 1, entryBytes: 1 * KIB },
  { name: "1 x 16 KiB", entries: 1, entryBytes: 16 * KIB },
  { name: "1 x 64 KiB", entries: 1, entryBytes: 64 * KIB },
  { name: "16 x 1 KiB", entries: 16, entryBytes: 1 * KIB },
];

export interface WireBenchResult {
  readonly name: string;
  readonly messagesPerSecond: number;
  readonly mebibytesPerSecond: number;
  readonly hash: number;
}

function sample({ entries, entryBytes }: Shape): AppendMessage {
  const data = Uint8Array.from({ length: entryBytes }, (_, index) => index * 31 & 0xff);
  return {
    kind: "append",
    from: 1,
    to: 2,
    term: 9,
    previousIndex: 123_456_789,
    previousTerm: 9,
    previousHash: 0xdead_beef,
    commitIndex: 123_456_700,
    entries: Array.from({ length: entries }, (_, position) => ({
      index: 123_456_790 + position,
      term: 9,
      type: 2,
      hash: 0x1234_5678 + position,
      data,
    })),
  };
}

/** Runs `work` in rounds until `runMs` have passed. */
function measure(name: string, runMs: number, bytes: number, work: () => number): WireBenchResult {
  const ROUND = 50;
  const startedMs = performance.now();
  let elapsedMs = 0;
  let count = 0;
  let hash = 0;
  while (elapsedMs < runMs) {
    for (let index = 0; index < ROUND; index++) hash = work();
    count += ROUND;
    elapsedMs = performance.now() - startedMs;
  }
  const messagesPerSecond = count / elapsedMs * 1_000;
  return { name, messagesPerSecond, mebibytesPerSecond: messagesPerSecond * bytes / KIB / KIB, hash };
}

/** @param runMs time per result */
export function runWireBench(runMs: number): WireBenchResult[] {
  const results: WireBenchResult[] = [];
  for (const shape of SHAPES) {
    const message = sample(shape);
    const bytes = frameBytes(encodeMessage(message));
    const encode = () => {
      const { head } = encodeMessage(message);
      return new DataView(head.buffer, head.byteOffset).getUint32(4, true);
    };
    const reader = new FrameReader(LIMITS.peerFrameBytesMax);
    const decode = () => {
      let hash = 0;
      for (let offset = 0; offset < bytes.byteLength;) {
        const space = reader.space();
        const count = Math.min(space.byteLength, bytes.byteLength - offset);
        space.set(bytes.subarray(offset, offset + count));
        offset += count;
        for (const frame of reader.received(count)) {
          const decoded = decodeMessage(frame);
          hash = decoded.kind === "append" ? crc32(new Uint8Array([decoded.entries.length])) : 0;
        }
      }
      return hash;
    };
    results.push(measure(`encode ${shape.name}`, runMs, bytes.byteLength, encode));
    results.push(measure(`decode ${shape.name}`, runMs, bytes.byteLength, decode));
  }
  return results;
}

if (import.meta.main) {
  const isSmoke = Deno.args.includes("smoke");
  for (const { name, messagesPerSecond, mebibytesPerSecond, hash } of runWireBench(isSmoke ? 5 : 1_000)) {
    const rate = Math.round(messagesPerSecond).toLocaleString("en").padStart(10);
    console.log(
      `wire ${name.padEnd(18)} ${rate} messages/s ${mebibytesPerSecond.toFixed(0).padStart(6)} MiB/s  ${
        hash.toString(16)
      }`,
    );
  }
}
