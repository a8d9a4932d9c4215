import { assert } from "../../core/base/assert.ts";
import type { NodeId } from "../../core/base/ids.ts";
import type { Message } from "../../core/raft/message.ts";
import type { RaftOptions } from "../../core/raft/options.ts";
import type { Output, ReadState } from "../../core/raft/output.ts";
import type { CrashPoint, RaftNode } from "../support/raft_node.ts";
import { nodeText, RENAMINGS } from "./canonical_text.ts";
import type { Core } from "./core_copy.ts";
import { checkAtRest, checkOutput, checkSent } from "./local_checks.ts";
import { applyInput, crashPoints, type LocalInput } from "./local_input.ts";
import { MESSAGES_MAX, type MessageTable } from "./message_table.ts";
import { factsOf, type NodeFacts } from "./node_facts.ts";
import { isLost, type LostKind } from "./scope.ts";
import { PartHashes } from "./part_hashes.ts";

/** What an input does to one node. */
export interface Transition {
  readonly input: LocalInput;
  readonly to: number;
  /** Numbers of the messages sent, but for those that are lost at once. */
  readonly sent: readonly number[];
  readonly answers: readonly ReadState[];
  /** Neither the node nor the network noticed. */
  readonly isNothing: boolean;
  /** What the core or the node did wrong. */
  readonly violation: string | undefined;
}

interface LocalState {
  readonly text: string;
  readonly path: Path | undefined;
  /** Another way here. */
  otherPath: Path | undefined;
  readonly root: NodeId;
  readonly facts: NodeFacts;
  readonly crashPoints: readonly CrashPoint[];
  readonly transitions: Map<number, Transition>;
}

/** Inputs since the start, newest first. */
interface Path {
  readonly before: Path | undefined;
  readonly input: LocalInput;
}

export interface LocalStart {
  /** Terms of the entries behind the first one. */
  readonly terms: readonly number[];
  readonly term: number;
  /** Kinds of messages that the network loses. */
  readonly lost: readonly LostKind[];
}

const KINDS: readonly LocalInput["kind"][] = [
  "deliver",
  "sync",
  "campaign",
  "propose",
  "read",
  "tick",
  "crash",
  "transfer",
];

/** Small windows, so that a handful of entries reaches their ends. */
const OPTIONS: Omit<RaftOptions, "id" | "chainHash"> = {
  electionTicks: 2,
  heartbeatTicks: 1,
  appendBytesMax: 1,
  appendsInFlightMax: 2,
  appendBytesInFlightMax: 4,
  uncommittedBytesMax: 100,
};

/**
 * Every state one node gets into, once, and what each input does to it. States of the cluster are made of them, so the
 * core runs once per pair of local state and input, however many states of the cluster that pair occurs in.
 */
export class LocalStates {
  readonly #core: Core;
  readonly #messages: MessageTable;
  readonly #startOf: (id: NodeId) => LocalStart;
  readonly #ids = new Map<string, number>();
  readonly #states: LocalState[] = [];
  readonly hashes = new PartHashes();
  #sent: Message[] = [];
  #answers: ReadState[] = [];
  #violation: string | undefined;

  constructor(core: Core, messages: MessageTable, startOf: (id: NodeId) => LocalStart) {
    this.#core = core;
    this.#messages = messages;
    this.#startOf = startOf;
  }

  /** Number of the state a node starts in. */
  root(id: NodeId): number {
    return this.#intern(this.#newNode(id), id, undefined);
  }

  get size(): number {
    return this.#states.length;
  }

  facts(id: number): NodeFacts {
    return this.#states[id]!.facts;
  }

  crashPoints(id: number): readonly CrashPoint[] {
    return this.#states[id]!.crashPoints;
  }

  /** What inputs have led to from here so far. */
  *next(id: number): Iterable<number> {
    for (const { to } of this.#states[id]!.transitions.values()) yield to;
  }

  /** @param argument which of all inputs of the kind it is: number of the message, value, context… */
  step(id: number, kind: LocalInput["kind"], argument: number, inputOf: () => LocalInput): Transition {
    const state = this.#states[id]!;
    const key = KINDS.indexOf(kind) * MESSAGES_MAX + argument;
    const known = state.transitions.get(key);
    if (known !== undefined) return known;
    const transition = this.#run(id, state, inputOf());
    state.transitions.set(key, transition);
    return transition;
  }

  /**
   * Goes to each state by another way, if there is one, and repeats there what was tried on the first. Where the text
   * that tells states apart lacks something that matters, the core does something else.
   *
   * @returns what differs, undefined when nothing does
   */
  proveTexts(): string | undefined {
    for (const [id, state] of this.#states.entries()) {
      if (state.otherPath === undefined) continue;
      for (const known of state.transitions.values()) {
        const again = this.#run(id, { ...state, path: state.otherPath }, known.input);
        const isSame = again.to === known.to && again.violation === known.violation &&
          String(again.sent) === String(known.sent) &&
          JSON.stringify(again.answers) === JSON.stringify(known.answers);
        if (isSame) continue;
        return `Two nodes with one text act differently on ${JSON.stringify(known.input)}: ${state.text}`;
      }
    }
    return undefined;
  }

  #run(id: number, state: Pick<LocalState, "root" | "path">, input: LocalInput): Transition {
    const node = this.#replay(state);
    // The replay has sent everything once more.
    this.#sent = [];
    this.#answers = [];
    this.#violation = undefined;
    try {
      applyInput(node, input);
    } catch (error) {
      // The core's own assertions are invariants like any other.
      this.#violation ??= error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    }
    const isBroken = this.#violation !== undefined;
    const to = isBroken ? id : this.#intern(node, state.root, { before: state.path, input });
    if (!isBroken) this.#violation = checkAtRest(this.facts(to));
    const { lost } = this.#startOf(state.root);
    const sent = this.#sent.filter((each) => !isLost(each, lost)).map((each) => this.#messages.idOf(each));
    const answers = [...this.#answers];
    const violation = this.#violation;
    const isNothing = to === id && sent.length === 0 && answers.length === 0 && violation === undefined;
    return { input, to, sent, answers, isNothing, violation };
  }

  /** The core cannot be copied while it runs, but it repeats itself exactly. */
  #replay(state: Pick<LocalState, "root" | "path">): RaftNode {
    const node = this.#newNode(state.root);
    const inputs: LocalInput[] = [];
    for (let path = state.path; path !== undefined; path = path.before) inputs.push(path.input);
    for (const input of inputs.reverse()) applyInput(node, input);
    return node;
  }

  #newNode(id: NodeId): RaftNode {
    const { logOf, membershipOf, RaftNode, testChainHash } = this.#core;
    const { terms, term } = this.#startOf(id);
    const disk = { hardState: { term, vote: 0 }, log: logOf(membershipOf([1, 2, 3]), terms), commitIndex: 1 };
    const node = new RaftNode({ id, ...OPTIONS, chainHash: testChainHash }, disk, () => 0.5, {
      send: (message) => {
        this.#violation ??= checkSent(node, message);
        this.#sent.push(message);
      },
      onOutput: (_, output: Output) => {
        this.#violation ??= checkOutput(node, output);
        this.#answers.push(...output.readStates);
      },
    });
    return node;
  }

  #intern(node: RaftNode, root: NodeId, path: Path | undefined): number {
    const text = nodeText(node, RENAMINGS[0]!);
    const known = this.#ids.get(text);
    if (known !== undefined) {
      const state = this.#states[known]!;
      // Not one that came from here by an input that does nothing.
      if (path?.before !== state.path) state.otherPath ??= path;
      return known;
    }
    const id = this.#states.length;
    assert(node.alive, "A crash is followed by the restart at once");
    this.#ids.set(text, id);
    this.#states.push({
      text,
      path,
      otherPath: undefined,
      root,
      facts: factsOf(node),
      crashPoints: crashPoints(node),
      transitions: new Map(),
    });
    this.hashes.push((renaming) => `n${nodeText(node, renaming)}`);
    return id;
  }
}
