import type { NodeId } from "../../core/base/ids.ts";
import type { Message } from "../../core/raft/message.ts";
import { messageText, RENAMINGS } from "./canonical_text.ts";
import { PartHashes } from "./part_hashes.ts";

/** A bound on what one exploration can hold, far above what fits a machine: numbers of inputs are packed with it. */
export const MESSAGES_MAX = 1 << 20;

/** Every message ever sent, once; states name them by number. */
export class MessageTable {
  readonly #ids = new Map<string, number>();
  readonly #messages: Message[] = [];
  readonly hashes = new PartHashes();

  idOf(message: Message): number {
    const text = messageText(message, RENAMINGS[0]!);
    const known = this.#ids.get(text);
    if (known !== undefined) return known;
    const id = this.#messages.length;
    if (id === MESSAGES_MAX) {
      throw new RangeError(`Cannot explore on: over ${MESSAGES_MAX} different messages`);
    }
    this.#ids.set(text, id);
    this.#messages.push(message);
    this.hashes.push((renaming) => `m${messageText(message, renaming)}`);
    return id;
  }

  message(id: number): Message {
    return this.#messages[id]!;
  }

  receiver(id: number): NodeId {
    return this.#messages[id]!.to;
  }

  get size(): number {
    return this.#messages.length;
  }
}
