import type { LogIndex } from "../base/ids.ts";
import type { AppendReply, Message, SnapshotMetadata } from "./message.ts";
import type { Fork, RaftEvent, ReadState } from "./output.ts";

const NONE: readonly never[] = [];

/** What the next output will say, besides entries and hard state. */
export class Outbox {
  #sendNow: Message[] = [];
  #sendAfterSync: Message[] = [];
  #readStates: ReadState[] = [];
  #events: RaftEvent[] = [];
  snapshot: SnapshotMetadata | undefined;
  fork: Fork | undefined;
  membershipChanged = false;

  get isEmpty(): boolean {
    return this.#sendNow.length === 0 && this.#sendAfterSync.length === 0 && this.#readStates.length === 0 &&
      this.#events.length === 0 && this.snapshot === undefined && this.fork === undefined &&
      !this.membershipChanged;
  }

  sendNow(message: Message): void {
    this.#sendNow.push(message);
  }

  sendAfterSync(message: Message): void {
    this.#sendAfterSync.push(message);
  }

  /** One acknowledgement stands for all before it, so those that have not left yet are replaced. */
  acknowledge(reply: AppendReply): void {
    const last = this.#sendAfterSync.at(-1);
    const covers = last !== undefined && last.kind === "append_reply" && !last.rejected &&
      last.to === reply.to && last.term === reply.term && last.index <= reply.index;
    if (covers) this.#sendAfterSync[this.#sendAfterSync.length - 1] = reply;
    else this.#sendAfterSync.push(reply);
  }

  /** Acknowledgements of entries that are replaced before they ever reached the disk. */
  dropAcknowledgementsFrom(index: LogIndex): void {
    this.#sendAfterSync = this.#sendAfterSync.filter((message) =>
      message.kind !== "append_reply" || message.rejected || message.index < index
    );
  }

  readState(state: ReadState): void {
    this.#readStates.push(state);
  }

  event(name: string, facts: Record<string, unknown>): void {
    this.#events.push({ name, facts });
  }

  takeSendNow(): readonly Message[] {
    if (this.#sendNow.length === 0) return NONE;
    const taken = this.#sendNow;
    this.#sendNow = [];
    return taken;
  }

  takeSendAfterSync(): readonly Message[] {
    if (this.#sendAfterSync.length === 0) return NONE;
    const taken = this.#sendAfterSync;
    this.#sendAfterSync = [];
    return taken;
  }

  takeReadStates(): readonly ReadState[] {
    if (this.#readStates.length === 0) return NONE;
    const taken = this.#readStates;
    this.#readStates = [];
    return taken;
  }

  takeEvents(): readonly RaftEvent[] {
    if (this.#events.length === 0) return NONE;
    const taken = this.#events;
    this.#events = [];
    return taken;
  }
}
