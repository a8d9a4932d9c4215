/** Breadth first: what is found is found on a shortest path. */
import { type ClusterEvent, decodeEvent, encodeEvent } from "./cluster_event.ts";
import type { ClusterState } from "./cluster_state.ts";
import { Frontier } from "./frontier.ts";
import { StateHasher } from "./state_hash.ts";
import { StateSet } from "./state_set.ts";
import type { World } from "./world.ts";

export interface DepthReport {
  readonly depth: number;
  /** States first reached at this depth. */
  readonly states: number;
  readonly statesTotal: number;
  /** Events tried so far that change something. */
  readonly transitions: number;
}

export interface Violation {
  readonly text: string;
  /** From the start to the event that broke the invariant. */
  readonly path: readonly ClusterEvent[];
}

export interface Exploration {
  readonly states: number;
  readonly transitions: number;
  /** Of the deepest state. */
  readonly depth: number;
  /** Nothing that the scope allows was left out. */
  readonly complete: boolean;
  readonly violation: Violation | undefined;
}

export interface Bounds {
  readonly depthMax: number;
  readonly statesMax: number;
  /** States that differ only in which node is which count once. Off to test that. */
  readonly symmetric?: boolean;
  /** Called for each new state. */
  readonly onState?: (state: ClusterState) => void;
}

export class Explorer {
  readonly #world: World;
  readonly #bounds: Bounds;
  readonly #seen = new StateSet();
  readonly #hasher: StateHasher;
  #next = new Frontier();
  #transitions = 0;

  constructor(world: World, bounds: Bounds) {
    this.#world = world;
    this.#bounds = bounds;
    this.#hasher = new StateHasher(world, bounds.symmetric ?? true);
  }

  run(onDepth: (report: DepthReport) => void = () => {}): Exploration {
    this.#visit(this.#world.start(), -1, 0);
    for (let depth = 0;; depth++) {
      const frontier = this.#next;
      onDepth({
        depth,
        states: frontier.size,
        statesTotal: this.#seen.size,
        transitions: this.#transitions,
      });
      if (depth === this.#bounds.depthMax) return this.#result(depth, false);
      this.#next = new Frontier();
      for (const { id, state } of frontier.states()) {
        const violation = this.#expand(id, state);
        if (violation !== undefined) return this.#result(depth + 1, false, violation);
        if (this.#seen.size >= this.#bounds.statesMax) return this.#result(depth + 1, false);
      }
      if (this.#next.size === 0) return this.#result(depth, true);
    }
  }

  #expand(id: number, state: ClusterState): Violation | undefined {
    for (const event of this.#world.events(state)) {
      const step = this.#world.step(state, event);
      if (step.kind === "nothing") continue;
      this.#transitions++;
      const text = step.kind === "violation" ? step.text : this.#visit(step.state, id, encodeEvent(event));
      if (text !== undefined) return { text, path: [...this.#pathTo(id), event] };
    }
    return undefined;
  }

  /** Returns what is wrong with the state when it is new. */
  #visit(state: ClusterState, parent: number, event: number): string | undefined {
    const { high, low } = this.#hasher.hashOf(state);
    const id = this.#seen.add(high, low, parent, event);
    if (id === -1) return undefined;
    this.#next.push(id, state);
    this.#bounds.onState?.(state);
    return this.#world.check(state);
  }

  #pathTo(id: number): ClusterEvent[] {
    const path: ClusterEvent[] = [];
    for (let at = id; this.#seen.parent(at) !== -1; at = this.#seen.parent(at)) {
      path.push(decodeEvent(this.#seen.event(at)));
    }
    return path.reverse();
  }

  #result(depth: number, complete: boolean, violation?: Violation): Exploration {
    return { states: this.#seen.size, transitions: this.#transitions, depth, complete, violation };
  }
}
