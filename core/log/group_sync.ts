/**
 * Shares runs of an expensive action among callers: one run is under way, and all who call meanwhile share the next,
 * because the current one may have begun before their data was written. The first failure is final.
 */
export class GroupSync {
  readonly #action: () => Promise<void>;
  #current: Promise<void> | undefined;
  #queued: Promise<void> | undefined;
  #failure: Error | undefined;

  constructor(action: () => Promise<void>) {
    this.#action = action;
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
    this.#queued ??= this.#current.then(() => {
      this.#queued = undefined;
      return this.run();
    });
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
      this.fail(error instanceof Error ? error : new Error(String(error)));
      throw this.#failure;
    } finally {
      this.#current = undefined;
    }
  }
}
