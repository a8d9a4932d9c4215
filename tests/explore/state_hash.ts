/** The hash under which a state is remembered: the smallest over all ways to name the nodes. */
import { RENAMINGS } from "./canonical_text.ts";
import type { ClusterState } from "./cluster_state.ts";
import { newSums } from "./part_hashes.ts";
import type { World } from "./world.ts";

export interface StateHash {
  /** Unsigned halves. */
  readonly high: number;
  readonly low: number;
}

export class StateHasher {
  readonly #world: World;
  readonly #renamings: number;
  readonly #sums = newSums();

  /** @param symmetric states that differ only in which node is which have one hash */
  constructor(world: World, symmetric: boolean) {
    this.#world = world;
    this.#renamings = symmetric ? RENAMINGS.length : 1;
  }

  hashOf(state: ClusterState): StateHash {
    const sums = this.#sumsOf(state);
    let high = sums[0]! >>> 0;
    let low = sums[1]! >>> 0;
    for (let at = 2; at < 2 * this.#renamings; at += 2) {
      const otherHigh = sums[at]! >>> 0;
      const otherLow = sums[at + 1]! >>> 0;
      if (otherHigh > high || (otherHigh === high && otherLow >= low)) continue;
      high = otherHigh;
      low = otherLow;
    }
    return { high, low };
  }

  /** How many different states this one stands for when renaming makes no difference. */
  orbitOf(state: ClusterState): number {
    const sums = this.#sumsOf(state);
    return new Set(RENAMINGS.map((_, at) => `${sums[2 * at]}/${sums[2 * at + 1]}`)).size;
  }

  #sumsOf({ nodes, history, used, messages }: ClusterState): Int32Array {
    const { locals, histories, messages: table } = this.#world;
    const sums = this.#sums;
    for (let at = 0; at < sums.length; at += 2) {
      sums[at] = Math.imul(used + 1, 0x85eb_ca6b);
      sums[at + 1] = Math.imul(used + 1, 0xc2b2_ae35);
    }
    for (const local of nodes) locals.hashes.addTo(sums, local);
    histories.hashes.addTo(sums, history);
    for (const message of messages) table.hashes.addTo(sums, message);
    return sums;
  }
}
