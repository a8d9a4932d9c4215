import { mustHave } from "../../core/base/assert.ts";
import type { NodeId } from "../../core/base/ids.ts";
import { type ClusterEvent, COST } from "./cluster_event.ts";
import { checkCluster } from "./cluster_checks.ts";
import { type ClusterState, messagesAfter, use, usedOf } from "./cluster_state.ts";
import type { Core } from "./core_copy.ts";
import { Histories } from "./history.ts";
import type { LocalInput } from "./local_input.ts";
import { LocalStates } from "./local_states.ts";
import { MessageTable } from "./message_table.ts";
import type { Budget, Scope } from "./scope.ts";
import { SpentMessages } from "./spent_messages.ts";

/** What an event leads to: another state, nothing at all, or something that must not be. */
export type Step =
  | { readonly kind: "state"; readonly state: ClusterState }
  | { readonly kind: "nothing" }
  | { readonly kind: "violation"; readonly text: string };

const NOTHING: Step = { kind: "nothing" };

/** The rules: which events are possible in a state of the cluster, and where each leads. */
export class World {
  readonly scope: Scope;
  readonly messages = new MessageTable();
  readonly locals: LocalStates;
  readonly histories = new Histories();
  readonly spent: SpentMessages;

  constructor(core: Core, scope: Scope) {
    this.scope = scope;
    this.locals = new LocalStates(core, this.messages, (id) => ({
      terms: mustHave(scope.start.logs[id - 1], () => `log of node ${id}`),
      term: scope.start.term,
      lost: scope.lost,
    }));
    this.spent = new SpentMessages(this.messages, this.locals);
  }

  start(): ClusterState {
    const nodes = [this.locals.root(1), this.locals.root(2), this.locals.root(3)] as const;
    const committed = this.locals.facts(nodes[0]).log.slice(0, 1);
    const state: ClusterState = { nodes, history: this.histories.root(committed), used: 0, messages: [] };
    return this.scope.start.leader === 0 ? state : this.#elect(state, this.scope.start.leader);
  }

  /** One node campaigns, and all that follows from it happens in order. */
  #elect(start: ClusterState, leader: NodeId): ClusterState {
    let state = this.#mustStep(start, { kind: "campaign", node: leader, argument: 0 });
    for (let event = this.#nextOrdered(state); event !== undefined; event = this.#nextOrdered(state)) {
      state = this.#mustStep(state, event);
    }
    return { ...state, used: 0 };
  }

  #nextOrdered({ nodes, messages }: ClusterState): ClusterEvent | undefined {
    for (const [at, local] of nodes.entries()) {
      if (this.locals.facts(local).unsynced > 0) return { kind: "sync", node: at + 1, argument: 0 };
    }
    const message = messages[0];
    if (message === undefined) return undefined;
    return { kind: "deliver", node: this.messages.message(message).to, argument: message };
  }

  #mustStep(state: ClusterState, event: ClusterEvent): ClusterState {
    const step = this.step(state, event);
    if (step.kind === "violation") throw new Error(`The scope ${this.scope.name} cannot begin: ${step.text}`);
    if (step.kind === "state") return step.state;
    return event.kind === "deliver" ? { ...state, messages: state.messages.slice(1) } : state;
  }

  /** Every event that is possible here. Some of them may change nothing. */
  events(state: ClusterState): ClusterEvent[] {
    const events: ClusterEvent[] = [];
    const { messages, used } = state;
    const { budget } = this.scope;
    const mayRepeat = usedOf(used, "duplicates") < budget.duplicates;
    for (let at = 0; at < messages.length; at++) {
      const argument = messages[at]!;
      if (argument === messages[at - 1]) continue;
      const node = this.messages.message(argument).to;
      events.push({ kind: "deliver", node, argument });
      if (mayRepeat) events.push({ kind: "duplicate", node, argument });
    }
    for (let node = 1; node <= 3; node++) this.#nodeEvents(events, state, node);
    return events;
  }

  #nodeEvents(events: ClusterEvent[], state: ClusterState, node: NodeId): void {
    const local = state.nodes[node - 1]!;
    const { role, unsynced } = this.locals.facts(local);
    const left = (name: keyof Budget) => usedOf(state.used, name) < this.scope.budget[name];
    const leads = role === "leader";
    if (unsynced > 0) events.push({ kind: "sync", node, argument: 0 });
    if (!leads && left("campaigns")) events.push({ kind: "campaign", node, argument: 0 });
    if (leads && left("proposals")) {
      events.push({ kind: "propose", node, argument: usedOf(state.used, "proposals") + 1 });
    }
    if (left("reads")) events.push({ kind: "read", node, argument: usedOf(state.used, "reads") });
    if (leads && left("ticks")) events.push({ kind: "tick", node, argument: 0 });
    if (left("crashes")) {
      const points = this.locals.crashPoints(local).length;
      for (let argument = 0; argument < points; argument++) events.push({ kind: "crash", node, argument });
    }
    if (leads && left("transfers")) {
      for (const to of [1, 2, 3]) if (to !== node) events.push({ kind: "transfer", node, argument: to });
    }
  }

  step(state: ClusterState, event: ClusterEvent): Step {
    const { node, kind, argument } = event;
    const at = node - 1;
    const from = state.nodes[at]!;
    const localKind = kind === "duplicate" ? "deliver" : kind;
    const transition = this.locals.step(from, localKind, argument, () => this.#inputOf(from, event));
    if (transition.violation !== undefined) return { kind: "violation", text: transition.violation };
    // A message that does nothing where it arrives might as well have been lost, and one that is lost might as well
    // never arrive.
    if (transition.isNothing) return NOTHING;
    const { to, sent } = transition;
    const before = kind === "read" ? this.histories.readBegins(state.history, argument) : state.history;
    const history = this.histories.observe(before, this.locals.facts(to), transition);
    if (typeof history === "string") return { kind: "violation", text: history };
    const nodes = state.nodes.with(at, to) as unknown as ClusterState["nodes"];
    const removed = kind === "deliver" ? state.messages.indexOf(argument) : -1;
    const cost = COST[kind];
    const used = cost === undefined ? state.used : use(state.used, cost);
    const messages = messagesAfter(state.messages, removed, sent);
    return { kind: "state", state: { nodes, history, used, messages: this.#live(messages, nodes) } };
  }

  #live(messages: readonly number[], nodes: ClusterState["nodes"]): readonly number[] {
    return messages.filter((id) => !this.spent.isSpent(id, nodes[this.messages.receiver(id) - 1]!));
  }

  /** What is wrong with the nodes as they are to each other. */
  check({ nodes, history }: ClusterState): string | undefined {
    return checkCluster(nodes.map((local) => this.locals.facts(local)), this.histories.commits(history));
  }

  #inputOf(local: number, { kind, argument }: ClusterEvent): LocalInput {
    switch (kind) {
      case "deliver":
      case "duplicate":
        return { kind: "deliver", message: this.messages.message(argument) };
      case "campaign":
        return { kind, preVote: this.scope.preVote };
      case "propose":
        return { kind, value: argument };
      case "read":
        return { kind, context: argument };
      case "crash":
        return { kind, point: mustHave(this.locals.crashPoints(local)[argument], "crash point") };
      case "transfer":
        return { kind, to: argument };
      case "sync":
      case "tick":
        return { kind };
    }
  }
}
