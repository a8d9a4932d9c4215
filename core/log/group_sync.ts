/**
 * Shares runs of an expensive action among callers: one run is under way, and all who call meanwhile share the next,
 * because the current one may have begun before their data was written. The first failure is final,
 * except for those the action declares harmless.
 */
export class GroupSync {
  readonly #action: () => Promise<void>;
  readonly #isHarmless: (error: unknown) => boolean;
  #current: Promise<void> | undefined;
  #queued: Promise<void> | undefined;
  #failure: Error | undefined;

  /** @param isHarmless a failure after which the action may be run again */
  constructor(action: () => Promise<void>, isHarmless: (error: unknown) => boolean = () => false) {
    this.#action = action;
    this.#isHarmless = isHarmless;
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  get running(): boolean {
    return this.#current !== undefined;
  }

  /** Resolves when a run that began after this call has ended. */
  run(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#current === undefined) return this.#start();
    const next = () => {
      this.#queued = undefined;
      return this.run();
    };
    this.#queued ??= this.#current.then(next, next);
    return this.#queued;
  }

  /** Waits until nothing runs, whether it ends well or not. */
  async idle(): Promise<void> {
    while (this.#current !== undefined) await Promise.allSettled([this.#queued ?? this.#current]);
  }

  /** Makes everything after this call fail. */
  fail(error: Error): void {
    this.#failure ??= error;
  }

  #start(): Promise<void> {
    const run = this.#runOnce();
    this.#current = run;
    return run;
  }

  async #runOnce(): Promise<void> {
    try {
      await this.#action();
    } catch (error) {
      if (this.#isHarmless(error)) throw error;
      this.fail(error instanceof Error ? error : new Error(String(error)));
      throw this.#failure;
    } finally {
      this.#current = undefined;
    }
  }
}
