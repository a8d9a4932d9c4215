import { assert, mustHave } from "../../core/base/assert.ts";
import type { EncodedFrame } from "../wire/frame.ts";

/** `urgent` frames overtake `bulk` ones: a heartbeat must not wait behind megabytes of entries. */
export type Lane = "urgent" | "bulk";

export interface QueuedFrame {
  readonly frame: EncodedFrame;
  readonly lane: Lane;
  /** Of two waiting frames with the same slot only the newer is kept, at the place of the older. */
  readonly slot?: string;
  /** Asked when the frame is about to be written; `false` leaves it out, as when its caller gave up. */
  readonly onTake?: () => boolean;
}

/**
 * What waits to be written on one connection. Bounded in bytes, frames being written included, so a peer that does
 * not read costs a known amount of memory. Order is kept within a lane.
 */
export class SendQueue {
  readonly #bytesMax: number;
  readonly #reserveBytes: number;
  readonly #lanes: Record<Lane, Lines> = { urgent: new Lines(), bulk: new Lines() };
  #waitingBytes = 0;
  #takenBytes = 0;

  /** @param reserveBytes part of `bytesMax` that bulk frames leave free for urgent ones */
  constructor(bytesMax: number, reserveBytes: number) {
    this.#bytesMax = bytesMax;
    this.#reserveBytes = reserveBytes;
  }

  /** Waiting and being written. */
  get bytes(): number {
    return this.#waitingBytes + this.#takenBytes;
  }

  get isEmpty(): boolean {
    return this.#lanes.urgent.length === 0 && this.#lanes.bulk.length === 0;
  }

  /** Whether a frame of this size fits now; asked first where encoding costs something. */
  hasRoom(byteLength: number, lane: Lane): boolean {
    const max = lane === "bulk" ? this.#bytesMax - this.#reserveBytes : this.#bytesMax;
    return this.bytes + byteLength <= max;
  }

  /** @returns false when there is no room: the newest frame is the one that is dropped */
  push(item: QueuedFrame): boolean {
    const lane = this.#lanes[item.lane];
    const replaced = item.slot === undefined ? undefined : lane.bySlot(item.slot);
    const added = item.frame.byteLength - (replaced?.frame.byteLength ?? 0);
    if (!this.hasRoom(added, item.lane)) return false;
    lane.push(item);
    this.#waitingBytes += added;
    return true;
  }

  /**
   * Takes the frames to be written next: urgent ones first, at least one, then as many as stay within `bytesMax`.
   * They count against the bound until `release()`.
   */
  take(bytesMax: number): EncodedFrame[] {
    const frames: EncodedFrame[] = [];
    let bytes = 0;
    while (!this.isEmpty) {
      const lane = this.#lanes.urgent.length > 0 ? this.#lanes.urgent : this.#lanes.bulk;
      const { frame, onTake } = mustHave(lane.first(), "first frame of a lane");
      if (frames.length > 0 && bytes + frame.byteLength > bytesMax) break;
      lane.shift();
      this.#waitingBytes -= frame.byteLength;
      if (onTake !== undefined && !onTake()) continue;
      bytes += frame.byteLength;
      frames.push(frame);
    }
    this.#takenBytes += bytes;
    return frames;
  }

  /** The frames taken are written. */
  release(): void {
    this.#takenBytes = 0;
  }

  /** Forgets everything: the connection is gone. */
  clear(): void {
    this.#lanes.urgent = new Lines();
    this.#lanes.bulk = new Lines();
    this.#waitingBytes = 0;
    this.#takenBytes = 0;
  }
}

/** A queue in an array: taking moves a cursor, and the array is cut when half of it is behind the cursor. */
class Lines {
  #items: (QueuedFrame | undefined)[] = [];
  #head = 0;
  /** Absolute positions: they stay right when the array is cut. */
  readonly #slots = new Map<string, number>();
  #cut = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  first(): QueuedFrame | undefined {
    return this.#items[this.#head];
  }

  bySlot(slot: string): QueuedFrame | undefined {
    const position = this.#slots.get(slot);
    return position === undefined ? undefined : this.#items[position - this.#cut];
  }

  push(item: QueuedFrame): void {
    const position = item.slot === undefined ? undefined : this.#slots.get(item.slot);
    if (position !== undefined) {
      this.#items[position - this.#cut] = item;
      return;
    }
    if (item.slot !== undefined) this.#slots.set(item.slot, this.#cut + this.#items.length);
    this.#items.push(item);
  }

  shift(): void {
    const item = this.#items[this.#head];
    assert(item !== undefined, "Cannot take from an empty queue");
    if (item.slot !== undefined) this.#slots.delete(item.slot);
    this.#items[this.#head] = undefined;
    this.#head += 1;
    if (this.#head * 2 >= this.#items.length) {
      this.#items.splice(0, this.#head);
      this.#cut += this.#head;
      this.#head = 0;
    }
  }
}
