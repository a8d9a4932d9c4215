import { assert } from "../base/assert.ts";
import type { LogIndex, NodeId, Term } from "../base/ids.ts";
import type { EventSink, Transport } from "../base/ports.ts";
import type { HardStateFile } from "../log/hard_state.ts";
import type { Log } from "../log/log.ts";
import type { AppendedTransaction, PageStore } from "../pages/page_store.ts";
import { type Entry, EntryType, type Message, type SnapshotMetadata } from "../raft/message.ts";
import type { Membership } from "../raft/membership.ts";
import type { Fork, HardState, Output, ReadState, Role } from "../raft/output.ts";
import { type DiskReserve, isDiskFull } from "./disk_reserve.ts";
import type { Raft } from "../raft/raft.ts";

/** What the rest of the node hears from the driver. Called synchronously, in the order the log has. */
export interface DriverListener {
  /** A transaction is complete in the log, not yet durable. */
  onTransaction(transaction: AppendedTransaction): void;
  /** The log is durable on this node up to `index`. */
  onSynced(index: LogIndex): void;
  onPublished(commitIndex: LogIndex): void;
  onReadState(state: ReadState): void;
  /** Followers hold entries that are committed and that no message has told them of; or none any more. */
  onCommitNews(hasNews: boolean): void;
  onRole(role: Role, term: Term, leader: NodeId): void;
  onMembership(membership: Membership): void;
  /** Two logs disagree where they cannot; the core did not act on the message that showed it (promise 4). */
  onFork(fork: Fork): void;
  /** The leader's log does not reach back far enough: its databases are needed, at this index or later. */
  onSnapshot(snapshot: SnapshotMetadata): void;
  /** The process must end: what is on disk can no longer be trusted (promise 1). */
  onFatal(error: Error): void;
}

export interface DriverOptions {
  readonly raft: Raft;
  readonly log: Log;
  readonly hardState: HardStateFile;
  readonly store: PageStore;
  readonly transport: Transport;
  readonly events: EventSink;
  readonly reserve: DiskReserve;
  readonly listener: DriverListener;
}

/**
 * Carries out what the Raft core asks for, in the order core/raft/README.md prescribes; the only place where Raft
 * meets disk and network. Inputs of one turn of the event loop are answered with one output, so that entries proposed
 * together share a write and a sync (group commit).
 */
export class Driver {
  readonly raft: Raft;
  readonly #options: DriverOptions;
  /** Outputs whose entries or hard state are not durable yet, oldest first. */
  #unsynced: Output[] = [];
  #syncing = false;
  #scheduled = false;
  /** Its entries found no room on the disk. Until they do, this node is as if cut off: nothing comes in or goes out. */
  #stalled: Output | undefined;
  /** The log is being replaced under the core: likewise. */
  #suspended = false;
  #stopped = false;
  #failed = false;
  #syncDone: Promise<void> = Promise.resolve();
  #role: Role = "follower";
  #term: Term = 0;
  #leader: NodeId = 0;
  #hadCommitNews = false;

  constructor(options: DriverOptions) {
    this.#options = options;
    this.raft = options.raft;
  }

  get role(): Role {
    return this.#role;
  }

  get term(): Term {
    return this.#term;
  }

  /** The disk is full: what is under way is being recorded, nothing new may be taken in. */
  get refusesWrites(): boolean {
    return this.#stalled !== undefined || this.#options.reserve.isFull;
  }

  /** 0 when unknown. */
  get leader(): NodeId {
    return this.#leader;
  }

  step(message: Message): void {
    if (this.#stopped || this.#suspended || this.#stalled !== undefined) return;
    this.#guard(() => this.raft.step(message));
    this.schedule();
  }

  tick(): void {
    if (this.#stopped || this.#suspended) return;
    if (this.#stalled !== undefined) return this.#retry();
    this.#guard(() => this.raft.tick());
    this.schedule();
  }

  /** To be called after any input given to the core directly. */
  schedule(): void {
    if (this.#scheduled || this.#stopped) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.run();
    });
  }

  /**
   * Carries out everything the core has to say now. Never throws: an output that was taken and not carried out would
   * leave a gap between the core and the disk, so a failure is fatal wherever the call came from. A listener may call
   * this again while it is told about publishing.
   */
  run(): void {
    this.#guard(() => {
      while (!this.#stopped && !this.#suspended && this.#stalled === undefined) {
        const output = this.raft.takeOutput();
        if (output === undefined) break;
        this.#carryOut(output);
      }
      const { hasCommitNews } = this.raft;
      if (hasCommitNews !== this.#hadCommitNews) this.#options.listener.onCommitNews(hasCommitNews);
      this.#hadCommitNews = hasCommitNews;
    });
  }

  /**
   * Until `resume` nothing goes into the core or comes out, as if this node were cut off: for what replaces the log under
   * it. Resolves when everything that was taken from the core before is durable.
   */
  async suspend(): Promise<void> {
    this.#suspended = true;
    while (this.#syncing || this.#unsynced.length > 0) await this.#syncDone;
  }

  resume(): void {
    this.#suspended = false;
    this.schedule();
  }

  /** Waits until nothing is being written any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#syncDone;
  }

  #carryOut(output: Output): void {
    const { events } = this.#options;
    for (const { name, facts } of output.events) events.event(name, facts);
    if (output.fork !== undefined) {
      this.#options.listener.onFork(output.fork);
      // It may have been fatal: then nothing of this output may leave.
      if (this.#stopped) return;
    }
    if (output.entries.length > 0 && !this.#append(output)) {
      this.#stalled = output;
      events.event("log_append_stalled", { from: output.entries[0]?.index, entries: output.entries.length });
      return;
    }
    this.#afterAppend(output);
  }

  /** Tries again whether the entries find room; the same ones, since a crash may have kept a part of them. */
  #retry(): void {
    this.#guard(() => {
      const output = this.#stalled as Output;
      if (this.#options.reserve.isFull || !this.#append(output)) return;
      this.#stalled = undefined;
      this.#options.events.event("log_append_resumed", {});
      this.#afterAppend(output);
      this.run();
    });
  }

  #afterAppend(output: Output): void {
    const { transport, listener, store } = this.#options;
    if (output.membership !== undefined) listener.onMembership(output.membership);
    for (const message of output.sendNow) transport.send(message);
    const isDurable = output.entries.length === 0 && output.hardState === undefined;
    if (isDurable && !this.#syncing && this.#unsynced.length === 0) {
      this.raft.persisted(output.sequence);
      for (const message of output.sendAfterSync) this.#sendDurable(message);
    } else {
      this.#unsynced.push(output);
      if (!this.#syncing) this.#syncDone = this.#sync();
    }
    // Before publishing, which may lead to the next output being carried out inside this one.
    if (output.role !== this.#role || output.term !== this.#term || output.leader !== this.#leader) {
      this.#role = output.role;
      this.#term = output.term;
      this.#leader = output.leader;
      listener.onRole(output.role, output.term, output.leader);
    }
    if (output.commitIndex > store.publishedIndex) {
      store.publish(output.commitIndex);
      listener.onPublished(output.commitIndex);
    }
    for (const state of output.readStates) listener.onReadState(state);
    if (output.snapshot !== undefined) listener.onSnapshot(output.snapshot);
  }

  /** Returns false when the disk has no room. */
  #append(output: Output): boolean {
    const { log, store, listener, reserve } = this.#options;
    const first = output.entries[0] as Entry;
    if (first.index <= log.lastIndex()) store.dropFrom(first.index);
    try {
      log.append(output.entries, output.commitIndex);
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      return reserve.release() && this.#append(output);
    }
    for (const entry of output.entries) {
      if (entry.type === EntryType.empty) store.beginTerm(entry.index);
      if (entry.type !== EntryType.data) continue;
      const bodyPosition = log.positionOf(entry.index);
      const transaction = store.append({ index: entry.index, body: entry.data, bodyPosition });
      if (transaction !== undefined) listener.onTransaction(transaction);
    }
    return true;
  }

  /** Makes outputs durable, oldest first; those that come while a sync runs share the next one. */
  async #sync(): Promise<void> {
    this.#syncing = true;
    try {
      while (this.#unsynced.length > 0) {
        const outputs = this.#unsynced;
        this.#unsynced = [];
        const hardState = outputs.findLast((output) => output.hardState !== undefined)?.hardState;
        if (hardState !== undefined) await this.#save(hardState);
        if (outputs.some((output) => output.entries.length > 0)) await this.#options.log.sync();
        // Something else failed for good meanwhile: nothing may be acknowledged any more.
        if (this.#failed) return;
        this.#options.listener.onSynced(this.#options.log.syncedIndex);
        const newest = outputs.at(-1) as Output;
        this.raft.persisted(newest.sequence);
        for (const output of outputs) {
          for (const message of output.sendAfterSync) this.#sendDurable(message);
        }
        this.run();
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#syncing = false;
    }
  }

  async #save(state: HardState): Promise<void> {
    const { hardState, reserve } = this.#options;
    for (;;) {
      try {
        return await hardState.save(state);
      } catch (error) {
        if (!isDiskFull(error)) throw error;
        if (!reserve.release()) await reserve.whenTried();
      }
    }
  }

  /** Promise 1, checked at the border: no acknowledgement claims more than the disk holds. */
  #sendDurable(message: Message): void {
    const { log, transport } = this.#options;
    // A newer leader may have cut what this message is about while the sync ran; its term makes it void anyway.
    if (message.term < this.raft.term && message.kind === "append_reply") return;
    if (message.kind === "append_reply" && !message.rejected) {
      assert(
        message.index <= log.syncedIndex,
        () => `Acknowledgement of entry ${message.index}, durable up to ${log.syncedIndex}`,
      );
    }
    transport.send(message);
  }

  #guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#stopped = true;
    this.#options.listener.onFatal(error instanceof Error ? error : new Error(String(error)));
  }
}
