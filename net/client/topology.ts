/** Which nodes there are, who leads, and which node to ask next. Pure: the time comes in as a number. */
import { invalidArgument } from "./walraft_error.ts";

/** A cluster has 3 to 9 members; more addresses than this in one answer are not believed. */
const NODES_MAX = 64;
const BACKOFF_MS_MIN = 100;
const BACKOFF_MS_MAX = 5_000;

interface Node {
  readonly url: string;
  /** Given to `connect`: never forgotten, whatever a node says about the members. */
  readonly seed: boolean;
  failures: number;
  /** Not asked before this time unless no other node is left. */
  retryAtMs: number;
}

/**
 * `HOST:PORT` or a URL as an absolute URL without a slash at the end. `schemeOf` is the URL that named it: an address
 * without a scheme gets the same one.
 */
export function toNodeUrl(address: string, schemeOf = "http://"): string {
  const scheme = schemeOf.startsWith("https:") ? "https://" : "http://";
  let url: URL;
  try {
    url = new URL(/^[a-z][a-z0-9+.-]*:\/\//i.test(address) ? address : scheme + address);
  } catch (cause) {
    throw invalidArgument(
      `Cannot use ${JSON.stringify(address)} as the address of a node: it is not a URL`,
      cause,
    );
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw invalidArgument(
      `Cannot use ${JSON.stringify(address)} as the address of a node: only http and https`,
    );
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw invalidArgument(
      `Cannot use ${url.origin} as the address of a node: credentials, query and fragment are not allowed; pass the token as an option`,
    );
  }
  return url.origin + url.pathname.replace(/\/+$/, "");
}

/** A hint of a node as URL; undefined when it is unusable or would send the token over plain HTTP. */
function toHintedUrl(address: string, from: string): string | undefined {
  try {
    const url = toNodeUrl(address, from);
    return from.startsWith("https:") && !url.startsWith("https:") ? undefined : url;
  } catch {
    return undefined;
  }
}

export class Topology {
  #nodes: Node[];
  #leader: string | undefined;
  #rotation = 0;

  /** `urls` as `toNodeUrl` gives them, at least one. */
  constructor(urls: readonly string[]) {
    this.#nodes = [...new Set(urls)].slice(0, NODES_MAX).map((url) => newNode(url, true));
  }

  /** Who leads as far as known. */
  get leader(): string | undefined {
    return this.#leader;
  }

  get urls(): string[] {
    return this.#nodes.map((node) => node.url);
  }

  /**
   * All nodes, the best first. `leader`: the leader, then the others in their order. `any`: each call starts at the
   * next node, so that reads spread. Nodes that failed lately come last, the one whose pause ends first leading.
   */
  order(purpose: "leader" | "any", nowMs: number): string[] {
    const start = purpose === "any" ? this.#rotation++ % this.#nodes.length : 0;
    const rotated = [...this.#nodes.slice(start), ...this.#nodes.slice(0, start)];
    const rank = (node: Node): number => {
      if (node.retryAtMs > nowMs) return node.retryAtMs - nowMs;
      return purpose === "leader" && node.url === this.#leader ? -2 : -1;
    };
    return rotated.map((node) => ({ node, rank: rank(node) }))
      .sort((a, b) => a.rank - b.rank)
      .map(({ node }) => node.url);
  }

  /** True when the node failed lately and its pause is not over. */
  isPaused(url: string, nowMs: number): boolean {
    return this.#nodes.some((node) => node.url === url && node.retryAtMs > nowMs);
  }

  /** The node answered, with whatever answer. */
  onAnswer(url: string): void {
    for (const node of this.#nodes) {
      if (node.url !== url) continue;
      node.failures = 0;
      node.retryAtMs = 0;
    }
  }

  /** The node did not answer, or said that it is of no use now. It pauses, longer with each failure in a row. */
  onFailure(url: string, nowMs: number): void {
    if (this.#leader === url) this.#leader = undefined;
    for (const node of this.#nodes) {
      if (node.url !== url) continue;
      node.retryAtMs = nowMs + Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(node.failures, 10));
      node.failures++;
    }
  }

  /** The node `from` says that it does not lead, or that `address` does. Returns whether that is news. */
  onLeaderHint(from: string, address: string | undefined): boolean {
    const url = address === undefined ? undefined : toHintedUrl(address, from);
    if (url === undefined || url === from) {
      if (this.#leader === from) this.#leader = undefined;
      return false;
    }
    const isNews = this.#leader !== url;
    if (!this.#nodes.some((node) => node.url === url)) {
      if (this.#nodes.length >= NODES_MAX) return false;
      this.#nodes.push(newNode(url, false));
    }
    this.#leader = url;
    return isNews;
  }

  /** The answer of `/v1/cluster` of the node `from`: members replace what was learned before, seeds stay. */
  onMembers(from: string, addresses: readonly string[], leaderAddress: string | undefined): void {
    const known = new Map(this.#nodes.map((node) => [node.url, node]));
    const next = this.#nodes.filter((node) => node.seed);
    for (const address of addresses) {
      const url = toHintedUrl(address, from);
      if (url === undefined || next.length >= NODES_MAX || next.some((node) => node.url === url)) continue;
      next.push(known.get(url) ?? newNode(url, false));
    }
    this.#nodes = next;
    const leader = leaderAddress === undefined ? undefined : toHintedUrl(leaderAddress, from);
    this.#leader = this.#nodes.some((node) => node.url === leader) ? leader : undefined;
  }
}

function newNode(url: string, seed: boolean): Node {
  return { url, seed, failures: 0, retryAtMs: 0 };
}
