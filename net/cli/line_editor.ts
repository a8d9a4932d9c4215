/** The keyboard of the shell, as a port: editing, history and Ctrl-C. */
import process from "node:process";
import { createInterface } from "node:readline";

export interface LineEditor {
  setPrompt(text: string): void;
  /** Shows the prompt for the next line. */
  prompt(): void;
  /** Lines as they are entered; ends at end of file (Ctrl-D). */
  lines(): AsyncIterable<string>;
  /** Ctrl-C. It does not end the program: the terminal is in raw mode. */
  onInterrupt(handler: () => void): void;
  /** Drops what is typed in the line under way. Returns whether there was anything. */
  clearLine(): boolean;
  /** Newest first. */
  history(): readonly string[];
  close(): void;
}

const HISTORY_LINES_MAX = 1_000;

/** The terminal of this process. */
export function terminalEditor(history: readonly string[], words: readonly string[]): LineEditor {
  let lines: readonly string[] = history;
  const editor = createInterface({
    input: process.stdin,
    output: process.stdout,
    terminal: true,
    history: [...history],
    historySize: HISTORY_LINES_MAX,
    removeHistoryDuplicates: true,
    completer: (line: string) => [words.filter((word) => word.startsWith(line) && line !== ""), line],
  });
  editor.on("history", (all: string[]) => {
    lines = [...all];
  });
  return {
    setPrompt: (text) => editor.setPrompt(text),
    prompt: () => editor.prompt(),
    lines: () => editor,
    onInterrupt: (handler) => {
      editor.on("SIGINT", handler);
    },
    clearLine: () => {
      const hadText = editor.line !== "";
      // Ctrl-U and Ctrl-K: everything before and behind the cursor.
      editor.write(null, { ctrl: true, name: "u" });
      editor.write(null, { ctrl: true, name: "k" });
      return hadText;
    },
    history: () => lines,
    close: () => editor.close(),
  };
}
