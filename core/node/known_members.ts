import type { Disk, EventSink, PeerAddress } from "../base/ports.ts";
import { type NodeIdentity, writeNodeIdentity } from "../log/node_identity.ts";

/** Keeps the addresses of the other members in `node.json`: whom to ask when the log cannot tell any more. */
export class KnownMembers {
  readonly #disk: Disk;
  readonly #events: EventSink;
  #identity: NodeIdentity;
  #writing: Promise<void> = Promise.resolve();

  constructor(disk: Disk, identity: NodeIdentity, events: EventSink) {
    this.#disk = disk;
    this.#identity = identity;
    this.#events = events;
  }

  /** To be called with every new membership; writes only what differs. */
  update(members: readonly PeerAddress[]): void {
    const peers = members.filter(({ id }) => id !== this.#identity.nodeId)
      .map(({ id, raftAddress }) => ({ id, raftAddress }));
    if (JSON.stringify(peers) === JSON.stringify(this.#identity.peers)) return;
    this.#identity = { ...this.#identity, peers };
    const identity = this.#identity;
    // Only a help for bad days: a node that cannot write it has worse news on its log.
    this.#writing = this.#writing.then(() => writeNodeIdentity(this.#disk, identity)).catch((error) => {
      this.#events.event("members_not_recorded", { reason: String(error) });
    });
  }

  /** Waits until nothing is being written. */
  async close(): Promise<void> {
    await this.#writing;
  }
}
