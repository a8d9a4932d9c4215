import type { Message } from "../../core/raft/message.ts";
import type { LocalInput } from "./local_input.ts";
import type { LocalStates } from "./local_states.ts";
import type { MessageTable } from "./message_table.ts";
import type { NodeFacts } from "./node_facts.ts";

/**
 * Messages that will not do anything at their receiver any more are taken off the network: two states that differ only
 * in such messages are one. That they never would is a guess from the receiver's term, which a fault of the core
 * could make wrong, so every guess is noted and proved afterwards on the core itself.
 */
export class SpentMessages {
  readonly #messages: MessageTable;
  readonly #locals: LocalStates;
  /** By number of the message: the local states in which it was taken away. */
  readonly #guesses: Set<number>[] = [];

  constructor(messages: MessageTable, locals: LocalStates) {
    this.#messages = messages;
    this.#locals = locals;
  }

  /** @param local state of the receiver */
  isSpent(message: number, local: number): boolean {
    if (!mayBeSpent(this.#messages.message(message), this.#locals.facts(local))) return false;
    (this.#guesses[message] ??= new Set()).add(local);
    return true;
  }

  /**
   * Steps each message in each state its receiver has come to after the message was taken away. Were there one in which
   * it does something, the first such delivery would begin in a state that was explored, and would be found here.
   *
   * @returns what is wrong, undefined when all guesses were right
   */
  prove(): string | undefined {
    for (const [id, locals] of this.#guesses.entries()) {
      if (locals === undefined) continue;
      const message = this.#messages.message(id);
      const input = (): LocalInput => ({ kind: "deliver", message });
      for (const local of this.#reachable(locals)) {
        if (this.#locals.step(local, "deliver", id, input).isNothing) continue;
        const { role, term } = this.#locals.facts(local);
        return `Late message: the ${role} ${message.to} in term ${term} acts on ${JSON.stringify(message)}`;
      }
    }
    return undefined;
  }

  #reachable(from: ReadonlySet<number>): ReadonlySet<number> {
    const reached = new Set(from);
    // A set visits what is added to it meanwhile.
    for (const local of reached) {
      for (const next of this.#locals.next(local)) reached.add(next);
    }
    return reached;
  }
}

/** Of an older term than the receiver's disk, or a vote that was decided. Appends and reads get an answer then. */
function mayBeSpent(message: Message, { term, diskTerm, role }: NodeFacts): boolean {
  switch (message.kind) {
    case "vote_reply": {
      if (message.term < diskTerm) return true;
      const decided = role === "leader" || role === "follower";
      return decided && !message.preVote && message.term === term && term === diskTerm;
    }
    case "vote":
      return !message.preVote && message.term < diskTerm;
    case "append_reply":
    case "heartbeat_reply":
    case "read_index_reply":
    case "timeout_now":
      return message.term < diskTerm;
    case "append":
    case "heartbeat":
    case "read_index":
    case "snapshot":
      return false;
  }
}
