/**
 * Cuts a SQL script into statements, without understanding more of SQL than needed: strings, quoted names, comments,
 * and the bodies of triggers (https://www.sqlite.org/lang_createtrigger.html). The rule for triggers is that of
 * SQLite's own shell (https://www.sqlite.org/c3ref/complete.html): after BEGIN the statement ends at `; END ;`, which
 * a CASE … END inside cannot look like.
 */

export interface ScriptStatement {
  /** Without the comments before it and without the semicolon behind it. */
  readonly text: string;
  /** First word in capitals, such as `INSERT`; empty when the statement starts with something else. */
  readonly keyword: string;
  /** Line the statement starts on, from 1. */
  readonly line: number;
}

/** What is open at the end of the text so far. */
export type OpenPart = "nothing" | "statement" | "string" | "comment" | "trigger";

export interface ScriptEnd {
  /** Text after the last semicolon, when it is a whole statement. */
  readonly last: ScriptStatement | undefined;
  /** Not `nothing` when the script breaks off in the middle of a string, comment or trigger. */
  readonly open: Exclude<OpenPart, "statement">;
}

export class StatementTooLongError extends Error {
  override readonly name = "StatementTooLongError";
}

/** How far the statement has come on its way to be a trigger. */
type TriggerState = "start" | "create" | "none" | "head" | "body" | "body_semicolon" | "body_end";

const WORD = /[A-Za-z0-9_$\u0080-\uffff]*/y;
const SPACE = /[ \t\n\f\r\uFEFF]*/y;
/** Longest statement kept by default, in characters. */
const CHARACTERS_MAX = 64 * 1024 * 1024;

function matchEnd(pattern: RegExp, text: string, from: number): number {
  pattern.lastIndex = from;
  pattern.test(text);
  return pattern.lastIndex;
}

/** Takes a script in pieces of any size and gives its statements as soon as their semicolon has arrived. */
export class StatementSplitter {
  readonly #charactersMax: number;
  /** From the start of the statement under way. */
  #text = "";
  /** Start of the token that is to be read next. */
  #position = 0;
  /** Inside an unfinished string or comment: where to go on searching for its end. */
  #searchFrom: number | undefined;
  /** Start of the first token of the statement; undefined while there are only spaces and comments. */
  #start: number | undefined;
  #keyword = "";
  #trigger: TriggerState = "start";
  #line = 1;
  #startLine = 1;

  constructor(charactersMax: number = CHARACTERS_MAX) {
    this.#charactersMax = charactersMax;
  }

  /** What the next piece goes on with. */
  get open(): OpenPart {
    if (this.#searchFrom !== undefined) {
      return this.#text.startsWith("/*", this.#position) ? "comment" : "string";
    }
    if (this.#trigger.startsWith("body")) return "trigger";
    return this.#start === undefined ? "nothing" : "statement";
  }

  /** Throws StatementTooLongError when a statement does not end. */
  push(piece: string): ScriptStatement[] {
    this.#text += piece;
    return this.#scan(false);
  }

  /** Says what is left. The splitter is empty afterwards. */
  finish(): ScriptEnd {
    const statements = this.#scan(true);
    const { open } = this;
    const isWhole = this.#start !== undefined && (open === "statement" || this.#trigger === "body_end");
    const last = statements[0] ?? (isWhole ? this.#cut(this.#text.length) : undefined);
    this.clear();
    if (isWhole || open === "nothing" || open === "statement") return { last, open: "nothing" };
    return { last, open };
  }

  /** Forgets the statement under way. */
  clear(): void {
    this.#text = "";
    this.#searchFrom = undefined;
    this.#startStatement(0);
  }

  #scan(isFinal: boolean): ScriptStatement[] {
    const statements: ScriptStatement[] = [];
    while (this.#position < this.#text.length) {
      const from = this.#position;
      const end = this.#tokenEnd(from, isFinal);
      if (end === undefined) break;
      const first = this.#text[from] as string;
      const isSpace = " \t\n\f\r\uFEFF".includes(first);
      const isComment = this.#text.startsWith("--", from) || this.#text.startsWith("/*", from);
      if (first === ";") {
        const statement = this.#onSemicolon(from);
        if (statement !== undefined) statements.push(statement);
      } else if (!isSpace && !isComment) {
        this.#onToken(from, end);
      }
      this.#countLines(from, end);
      this.#position = end;
      if (first === ";" && this.#start === undefined) this.#startStatement(end);
    }
    this.#dropConsumed();
    return statements;
  }

  /** End of the token at `from`; undefined when more text could change it. */
  #tokenEnd(from: number, isFinal: boolean): number | undefined {
    const text = this.#text;
    const first = text[from] as string;
    if (first === "'" || first === '"' || first === "`") return this.#quotedEnd(from, first, isFinal);
    if (first === "[") return this.#searchEnd(from, "]", from + 1);
    if (text.startsWith("/*", from)) return this.#searchEnd(from, "*/", from + 2);
    if (text.startsWith("--", from)) {
      const end = text.indexOf("\n", from);
      return end >= 0 ? end : isFinal ? text.length : undefined;
    }
    const isWhole = isFinal || from + 1 < text.length;
    if (first === "-" || first === "/") return isWhole ? from + 1 : undefined;
    const spaceEnd = matchEnd(SPACE, text, from);
    if (spaceEnd > from) return spaceEnd;
    const wordEnd = matchEnd(WORD, text, from);
    if (wordEnd === from) return from + 1;
    return wordEnd < text.length || isFinal ? wordEnd : undefined;
  }

  #searchEnd(from: number, closing: string, searchFrom: number): number | undefined {
    const end = this.#text.indexOf(closing, this.#searchFrom ?? searchFrom);
    if (end < 0) {
      this.#searchFrom = Math.max(searchFrom, this.#text.length - closing.length + 1);
      return undefined;
    }
    this.#searchFrom = undefined;
    return Math.max(end + closing.length, from + 1);
  }

  /** A quote inside is written twice. */
  #quotedEnd(from: number, quote: string, isFinal: boolean): number | undefined {
    let search = this.#searchFrom ?? from + 1;
    for (;;) {
      const end = this.#text.indexOf(quote, search);
      const isLast = end === this.#text.length - 1;
      if (end < 0 || (isLast && !isFinal)) {
        this.#searchFrom = end < 0 ? this.#text.length : end;
        return undefined;
      }
      if (this.#text[end + 1] !== quote) {
        this.#searchFrom = undefined;
        return end + 1;
      }
      search = end + 2;
    }
  }

  #onToken(from: number, end: number): void {
    const isFirst = this.#start === undefined;
    if (isFirst) {
      this.#start = from;
      this.#startLine = this.#line;
    }
    const word = end - from <= 16 ? this.#text.slice(from, end).toUpperCase() : "";
    if (isFirst && /^[A-Z]/.test(word)) this.#keyword = word;
    this.#trigger = nextTriggerState(this.#trigger, word);
  }

  #onSemicolon(at: number): ScriptStatement | undefined {
    if (this.#start === undefined) return undefined;
    if (this.#trigger === "body" || this.#trigger === "body_semicolon") {
      this.#trigger = "body_semicolon";
      return undefined;
    }
    return this.#cut(at);
  }

  #cut(end: number): ScriptStatement {
    const text = this.#text.slice(this.#start, end).trimEnd();
    const statement = { text, keyword: this.#keyword, line: this.#startLine };
    this.#start = undefined;
    return statement;
  }

  #startStatement(position: number): void {
    this.#position = position;
    this.#start = undefined;
    this.#keyword = "";
    this.#trigger = "start";
  }

  #countLines(from: number, end: number): void {
    for (
      let at = this.#text.indexOf("\n", from);
      at >= 0 && at < end;
      at = this.#text.indexOf("\n", at + 1)
    ) {
      this.#line++;
    }
  }

  #dropConsumed(): void {
    const consumed = this.#start ?? this.#position;
    this.#text = this.#text.slice(consumed);
    this.#position -= consumed;
    if (this.#searchFrom !== undefined) this.#searchFrom -= consumed;
    if (this.#start !== undefined) this.#start = 0;
    if (this.#text.length > this.#charactersMax) {
      throw new StatementTooLongError(
        `Cannot read the statement at line ${this.#startLine}: it is longer than ${this.#charactersMax} characters`,
      );
    }
  }
}

function nextTriggerState(state: TriggerState, word: string): TriggerState {
  switch (state) {
    case "start":
      if (word === "CREATE") return "create";
      return ["EXPLAIN", "QUERY", "PLAN"].includes(word) ? "start" : "none";
    case "create":
      if (word === "TRIGGER") return "head";
      return word === "TEMP" || word === "TEMPORARY" ? "create" : "none";
    case "head":
      return word === "BEGIN" ? "body" : "head";
    case "body":
    case "body_end":
      return "body";
    case "body_semicolon":
      return word === "END" ? "body_end" : "body";
    case "none":
      return "none";
  }
}

/** All statements of a script that is in memory. */
export function splitStatements(script: string): { statements: ScriptStatement[]; open: ScriptEnd["open"] } {
  const splitter = new StatementSplitter();
  const statements = splitter.push(script);
  const { last, open } = splitter.finish();
  if (last !== undefined) statements.push(last);
  return { statements, open };
}
