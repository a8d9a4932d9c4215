import { assert } from "./assert.ts";

interface Entry<V> {
  value: V;
  isUsed: boolean;
}

/**
 * A map of bounded size that forgets what was not used for a while. An entry that is next to go but was used since it came
 * there goes to the end instead ("second chance"), so using one costs no more than finding it: a strict order of use would
 * have to move it each time.
 */
export class RecentMap<K, V> {
  readonly #countMax: number;
  /** The next to go first. */
  readonly #entries = new Map<K, Entry<V>>();

  constructor(countMax: number) {
    assert(countMax >= 1, () => `A map of at most ${countMax} entries holds nothing`);
    this.#countMax = countMax;
  }

  get(key: K): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    entry.isUsed = true;
    return entry.value;
  }

  /** @returns what is not in the map any more: the value it replaces, or the one that had to go */
  set(key: K, value: V): V | undefined {
    const known = this.#entries.get(key);
    if (known !== undefined) {
      const { value: before } = known;
      known.value = value;
      known.isUsed = true;
      return before;
    }
    const gone = this.#entries.size === this.#countMax ? this.#forgetOne() : undefined;
    this.#entries.set(key, { value, isUsed: false });
    return gone;
  }

  values(): V[] {
    return Array.from(this.#entries.values(), ({ value }) => value);
  }

  clear(): void {
    this.#entries.clear();
  }

  #forgetOne(): V {
    // Entries that get their second chance here are met once more at most.
    for (const [key, entry] of this.#entries) {
      this.#entries.delete(key);
      if (!entry.isUsed) return entry.value;
      entry.isUsed = false;
      this.#entries.set(key, entry);
    }
    throw new Error("An entry that was not used is always met");
  }
}
