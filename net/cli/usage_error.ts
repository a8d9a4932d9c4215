/** The command line, the environment or the config file is wrong: exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** What a command ends with. */
export const EXIT = {
  ok: 0,
  /** The command did not do what it was asked to. */
  failure: 1,
  /** The command was not understood; nothing was done. */
  usage: 2,
  /** Ended by Ctrl-C, as shells report it: 128 + SIGINT. */
  interrupted: 130,
} as const;
