/**
 * Cuts SQL text into statements without understanding more than it must: where each ends, how many parameters it has,
 * and what it begins with. What it gets wrong costs a better error, never a wrong result: SQLite compiles every statement
 * itself, and refuses to write through a query.
 */

/**
 * - `read`: a query, unless SQLite says that it writes.
 * - `write`: everything else that is not listed; it may return rows as well.
 * - `begin`: takes the writer with its first statement, `begin_immediate` at once.
 */
export type StatementKind =
  | "read"
  | "write"
  | "begin"
  | "begin_immediate"
  | "commit"
  | "rollback"
  | "savepoint";

export interface SqlStatement {
  /** Without the semicolon behind it; comments before it are kept. */
  readonly text: string;
  readonly kind: StatementKind;
  /** The number of the last parameter: values are bound by position. */
  readonly parameterCount: number;
  /** Position in the whole text, in UTF-16 units, behind the semicolon. */
  readonly end: number;
}

type TokenKind = "gap" | "word" | "variable" | "semicolon" | "open" | "close" | "other";
interface Token {
  readonly kind: TokenKind;
  readonly start: number;
  readonly end: number;
}

/** Sticky, tried in this order. A string or comment that does not end goes to the end of the text. */
const PATTERNS: readonly (readonly [TokenKind, RegExp])[] = [
  ["gap", /(?:[\s\uFEFF]+|--[^\n]*|\/\*[^]*?(?:\*\/|$))+/y],
  ["word", /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/y],
  ["other", /'[^']*(?:'|$)|"[^"]*(?:"|$)|`[^`]*(?:`|$)|\[[^\]]*(?:\]|$)|\d[\w.]*/y],
  ["variable", /\?\d*|[:@$#][\w$\u0080-\uffff]+/y],
  ["semicolon", /;/y],
  ["open", /\(/y],
  ["close", /\)/y],
  ["other", /[^]/y],
];

function tokenAt(text: string, start: number): Token {
  for (const [kind, pattern] of PATTERNS) {
    pattern.lastIndex = start;
    if (pattern.test(text)) return { kind, start, end: pattern.lastIndex };
  }
  return { kind: "other", start, end: start + 1 };
}

const MAIN_WORDS: ReadonlySet<string> = new Set([
  "SELECT",
  "VALUES",
  "INSERT",
  "REPLACE",
  "UPDATE",
  "DELETE",
]);
/** Words that decide what a statement is stand at its beginning. */
const WORDS_KEPT = 8;

/** What is known of a statement while its tokens pass by. */
class Draft {
  readonly #words: string[] = [];
  /** Of a statement that begins with WITH: the first word outside of parentheses that can follow the tables. */
  #mainWord: string | undefined;
  #depth = 0;
  #isTrigger = false;
  #last = "";
  #beforeLast = "";
  #parameterCount = 0;
  readonly #names = new Map<string, number>();
  isEmpty = true;

  /** @returns whether the token ends the statement */
  take(kind: TokenKind, text: string): boolean {
    if (kind === "semicolon" && this.#ends()) return true;
    if (kind === "open") this.#depth += 1;
    else if (kind === "close") this.#depth -= 1;
    else if (kind === "variable") this.#count(text);
    const word = kind === "word" ? text.toUpperCase() : text;
    if (kind === "word") this.#takeWord(word);
    this.isEmpty &&= kind === "semicolon";
    this.#beforeLast = this.#last;
    this.#last = word;
    return false;
  }

  /** A trigger has semicolons inside; it ends with `; END ;`, which a CASE … END inside cannot look like. */
  #ends(): boolean {
    return !this.#isTrigger || (this.#last === "END" && this.#beforeLast === ";");
  }

  #takeWord(word: string): void {
    if (this.#words.length < WORDS_KEPT) {
      this.#words.push(word);
      this.#isTrigger ||= /^(EXPLAIN (QUERY PLAN )?)?CREATE (TEMP(ORARY)? )?TRIGGER$/.test(
        this.#words.join(" "),
      );
    }
    if (this.#depth === 0 && MAIN_WORDS.has(word)) this.#mainWord ??= word;
  }

  /** The numbering of https://www.sqlite.org/lang_expr.html#varparam. */
  #count(text: string): void {
    if (text === "?") {
      this.#parameterCount += 1;
    } else if (text.startsWith("?")) {
      this.#parameterCount = Math.max(this.#parameterCount, Number(text.slice(1)));
    } else if (!this.#names.has(text)) {
      this.#parameterCount += 1;
      this.#names.set(text, this.#parameterCount);
    }
  }

  finish(text: string, end: number): SqlStatement {
    return { text, kind: kindOf(this.#words, this.#mainWord), parameterCount: this.#parameterCount, end };
  }
}

function kindOf(words: readonly string[], mainWord: string | undefined): StatementKind {
  const [first, second] = words;
  switch (first) {
    case "SELECT":
    case "VALUES":
    case "EXPLAIN":
    // SQLite tells the PRAGMAs that write from the others.
    case "PRAGMA":
      return "read";
    case "WITH":
      return mainWord === "SELECT" || mainWord === "VALUES" ? "read" : "write";
    case "BEGIN":
      return second === "IMMEDIATE" || second === "EXCLUSIVE" ? "begin_immediate" : "begin";
    case "COMMIT":
    case "END":
      return "commit";
    case "ROLLBACK":
      return words.includes("TO") ? "savepoint" : "rollback";
    case "SAVEPOINT":
    case "RELEASE":
      return "savepoint";
    default:
      return "write";
  }
}

/** The statements of a text, in order; empty ones are left out. Nothing is looked at before it is asked for. */
export function* statementsOf(sql: string): Generator<SqlStatement, undefined> {
  let start = 0;
  let draft = new Draft();
  for (let position = 0; position < sql.length;) {
    const { kind, end } = tokenAt(sql, position);
    if (kind !== "gap" && draft.take(kind, sql.slice(position, end))) {
      if (!draft.isEmpty) yield draft.finish(sql.slice(start, position), end);
      draft = new Draft();
      start = end;
    }
    position = end;
  }
  if (!draft.isEmpty) yield draft.finish(sql.slice(start), sql.length);
}
