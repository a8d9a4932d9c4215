/** What has happened so far, as far as invariants ask for it: part of each state of the cluster. */
import type { LogIndex, NodeId, Term } from "../../core/base/ids.ts";
import { RENAMINGS } from "./canonical_text.ts";
import type { Transition } from "./local_states.ts";
import type { NodeFacts } from "./node_facts.ts";
import { PartHashes } from "./part_hashes.ts";

interface Commit {
  readonly hash: number;
  readonly term: Term;
  /** Term of whoever first knew it: later leaders must have the entry. */
  readonly committedIn: Term;
}

interface History {
  /** At each term its leader, 0 for none. */
  readonly leaders: readonly NodeId[];
  /** From index 1. */
  readonly commits: readonly Commit[];
  /** At each open read what was committed when it began; -1 once it was answered. */
  readonly readFloors: readonly LogIndex[];
}

export class Histories {
  readonly #ids = new Map<string, number>();
  readonly #list: History[] = [];
  readonly hashes = new PartHashes();

  /** @param committed the log that all nodes begin with */
  root(committed: readonly { readonly term: Term; readonly hash: number }[]): number {
    const commits = committed.map(({ term, hash }) => ({ term, hash, committedIn: term }));
    return this.#intern({ leaders: [], commits, readFloors: [] });
  }

  commits(id: number): readonly Commit[] {
    return this.#list[id]!.commits;
  }

  /** A read of this context is about to begin. */
  readBegins(id: number, context: number): number {
    const history = this.#list[id]!;
    const readFloors = [...history.readFloors];
    readFloors[context] = history.commits.length;
    return this.#intern({ ...history, readFloors });
  }

  /** One node has taken a step and is now as `facts` say. Returns the new history, or what is wrong. */
  observe(id: number, facts: NodeFacts, { answers }: Transition): number | string {
    const history = this.#list[id]!;
    const leaders = leadersAfter(history, facts);
    if (typeof leaders === "string") return leaders;
    const commits = commitsAfter(history, facts);
    if (typeof commits === "string") return commits;
    let { readFloors } = history;
    for (const { context, index, rejected } of answers) {
      const floor = readFloors[context] ?? -1;
      if (floor === -1) return `Read ${context} on node ${facts.id} was answered twice or never asked`;
      if (!rejected && index < floor) {
        return `Stale read: node ${facts.id} answers ${index}, although ${floor} was committed before`;
      }
      readFloors = readFloors.with(context, -1);
    }
    const isSame = leaders === history.leaders && commits === history.commits &&
      readFloors === history.readFloors;
    return isSame ? id : this.#intern({ leaders, commits, readFloors });
  }

  #intern(history: History): number {
    const text = textOf(history, RENAMINGS[0]!);
    const known = this.#ids.get(text);
    if (known !== undefined) return known;
    const id = this.#list.length;
    this.#ids.set(text, id);
    this.#list.push(history);
    this.hashes.push((renaming) => `h${textOf(history, renaming)}`);
    return id;
  }
}

function leadersAfter({ leaders }: History, { id, role, term }: NodeFacts): readonly NodeId[] | string {
  if (role !== "leader") return leaders;
  const known = leaders[term] ?? 0;
  if (known === id) return leaders;
  if (known !== 0) return `Election safety: ${known} and ${id} lead in term ${term}`;
  return Array.from({ length: Math.max(leaders.length, term + 1) }, (_, at) => {
    return at === term ? id : leaders[at] ?? 0;
  });
}

function commitsAfter({ commits }: History, facts: NodeFacts): readonly Commit[] | string {
  const { id, commitIndex, log, term } = facts;
  for (let index = 1; index <= Math.min(commitIndex, commits.length); index++) {
    const ours = log[index - 1];
    const known = commits[index - 1]!;
    if (ours?.hash !== known.hash || ours.term !== known.term) {
      return `State machine safety: entry ${index} has term ${known.term} elsewhere, ${ours?.term} on node ${id}`;
    }
  }
  if (commitIndex <= commits.length) return commits;
  const added = log.slice(commits.length, commitIndex);
  return [...commits, ...added.map((entry) => ({ ...entry, committedIn: term }))];
}

function textOf({ leaders, commits, readFloors }: History, renaming: readonly number[]): string {
  const committed = commits.map(({ hash, term, committedIn }) => `${hash}/${term}/${committedIn}`);
  return `${leaders.map((id) => renaming[id])};${committed};${readFloors}`;
}
