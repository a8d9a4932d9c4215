import type { ClusterState } from "./cluster_state.ts";

/** The states of one depth, packed: as objects they would take ten times the room. */
export class Frontier {
  #values = new Int32Array(1 << 12);
  #end = 0;
  #count = 0;

  push(id: number, { nodes, history, used, messages }: ClusterState): void {
    const length = 7 + messages.length;
    if (this.#end + length > this.#values.length) this.#grow(this.#end + length);
    const values = this.#values;
    let at = this.#end;
    values[at++] = id;
    values[at++] = nodes[0];
    values[at++] = nodes[1];
    values[at++] = nodes[2];
    values[at++] = history;
    values[at++] = used;
    values[at++] = messages.length;
    for (const message of messages) values[at++] = message;
    this.#end = at;
    this.#count++;
  }

  get size(): number {
    return this.#count;
  }

  *states(): Iterable<{ readonly id: number; readonly state: ClusterState }> {
    const values = this.#values;
    for (let at = 0; at < this.#end;) {
      const messagesAt = at + 7;
      const end = messagesAt + values[at + 6]!;
      yield {
        id: values[at]!,
        state: {
          nodes: [values[at + 1]!, values[at + 2]!, values[at + 3]!],
          history: values[at + 4]!,
          used: values[at + 5]!,
          messages: Array.from(values.subarray(messagesAt, end)),
        },
      };
      at = end;
    }
  }

  #grow(needed: number): void {
    const values = new Int32Array(Math.max(needed, this.#values.length * 2));
    values.set(this.#values);
    this.#values = values;
  }
}
