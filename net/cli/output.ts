/** Where commands print. A port, so that tests read what users would see. */
export interface Output {
  /** Results. */
  stdout(text: string): void;
  /** Progress and errors. */
  stderr(text: string): void;
  /** Standard output is a terminal. */
  readonly isTerminal: boolean;
  /** Standard error is a terminal: progress bars may redraw their line. */
  readonly isErrorTerminal: boolean;
  /** Width of the terminal, or undefined where there is none. */
  readonly columns: number | undefined;
}

/** Where the shell reads. */
export interface Input {
  readonly isTerminal: boolean;
  /** Standard input as text, in pieces of any size. */
  chunks(): AsyncIterable<string>;
}
