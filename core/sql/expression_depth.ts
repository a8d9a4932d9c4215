/**
 * An upper bound on the depth of the deepest expression in a statement, without compiling it.
 *
 * The pinned build of SQLite does not check the depth of expressions: a chain of about 3,500 operators such as `1+1+1…`
 * exhausts the stack in the middle of the compiler and costs the instance (promise 7). Deep nesting is stopped by the parser's
 * own limit; what has to be found here are chains of operators on one level. In the tree of a chain each run of operators of
 * one binding strength is as deep as it is long, and runs of different strength hang below each other. The
 * bound is exact for a chain of one operator and may be too high, never too low, for a mixture.
 *
 * What it cannot see is an expression that grows out of several statements, such as views that use views. Those still
 * cost the instance, and only that.
 */

/** Binding strength of the operators written as words; larger binds tighter (https://sqlite.org/lang_expr.html). */
const WORD_STRENGTH: ReadonlyMap<string, number> = new Map([
  ["OR", 0],
  ["AND", 1],
  ["NOT", 2],
  ["IS", 3],
  ["IN", 3],
  ["LIKE", 3],
  ["GLOB", 3],
  ["MATCH", 3],
  ["REGEXP", 3],
  ["BETWEEN", 3],
  ["ISNULL", 3],
  ["NOTNULL", 3],
  ["ESCAPE", 4],
  ["COLLATE", 9],
]);

const SYMBOL_STRENGTH: ReadonlyMap<string, number> = new Map([
  ["=", 3],
  ["!", 3],
  ["<", 4],
  [">", 4],
  ["&", 5],
  ["|", 5],
  ["+", 6],
  ["-", 6],
  ["*", 7],
  ["/", 7],
  ["%", 7],
  ["||", 8],
  ["->", 8],
  ["~", 9],
]);
const STRENGTHS = 10;
/** The rest of a longer operator must not count again. */
const SYMBOL_PAIRS: ReadonlySet<string> = new Set(["||", "->", "<<", ">>", "<=", ">=", "<>", "==", "!="]);
/** No word that matters is longer. */
const WORD_LENGTH_MAX = 8;
const SPACE = 0x20;
const PARENTHESIS_OPEN = 0x28;
const PARENTHESIS_CLOSE = 0x29;
const COMMA = 0x2c;
const SEMICOLON = 0x3b;
const QUOTES: ReadonlyMap<number, string> = new Map([[0x27, "'"], [0x22, '"'], [0x60, "`"], [0x5b, "]"]]);

/** Words that end an expression on their level. They are reserved, so they cannot be names. */
const SEPARATORS: ReadonlySet<string> = new Set([
  "ELSE",
  "FROM",
  "GROUP",
  "HAVING",
  "LIMIT",
  "ON",
  "ORDER",
  "SELECT",
  "SET",
  "THEN",
  "UNION",
  "VALUES",
  "WHEN",
  "WHERE",
]);

/** One parenthesis or CASE. */
class Level {
  isCase = false;
  /** Longest run of operators of each strength in the expression so far, and the runs that go on. */
  readonly #longest = new Uint32Array(STRENGTHS);
  readonly #running = new Uint32Array(STRENGTHS);
  #operandDepth = 0;
  #deepest = 0;

  open(isCase: boolean): this {
    this.isCase = isCase;
    this.#deepest = 0;
    return this;
  }

  operator(strength: number): void {
    const run = this.#running[strength]! + 1;
    this.#running[strength] = run;
    if (run > this.#longest[strength]!) this.#longest[strength] = run;
    this.#running.fill(0, strength + 1);
  }

  operand(depth: number): void {
    if (depth > this.#operandDepth) this.#operandDepth = depth;
  }

  endExpression(): void {
    let depth = this.#operandDepth + 1;
    for (const run of this.#longest) depth += run;
    if (depth > this.#deepest) this.#deepest = depth;
    this.#longest.fill(0);
    this.#running.fill(0);
    this.#operandDepth = 0;
  }

  close(): number {
    this.endExpression();
    return this.#deepest;
  }
}

/** The levels that are open, kept for the next time one is opened: a list of 100,000 rows opens as many. */
class Levels {
  readonly #levels: Level[] = [new Level()];
  #top = 0;

  get current(): Level {
    return this.#levels[this.#top]!;
  }

  open(isCase: boolean): void {
    this.#top += 1;
    const level = this.#levels[this.#top] ??= new Level();
    level.open(isCase);
  }

  close(): void {
    if (this.#top === 0) return;
    const depth = this.current.close();
    this.#top -= 1;
    this.current.operand(depth);
  }

  closeParenthesis(): void {
    while (this.current.isCase) this.close();
    this.close();
  }

  closeAll(): number {
    while (this.#top > 0) this.close();
    return this.current.close();
  }
}

/** See the head of this file. Linear in the length of the text. */
export function expressionDepth(sql: string): number {
  const levels = new Levels();
  let previousWord = "";
  let position = 0;
  while (position < sql.length) {
    const start = position;
    const code = sql.charCodeAt(position);
    position = endOfToken(sql, position, code);
    if (position < 0) {
      position = -position;
      continue;
    }
    if (code === PARENTHESIS_OPEN) levels.open(false);
    else if (code === PARENTHESIS_CLOSE) levels.closeParenthesis();
    else if (code === COMMA || code === SEMICOLON) levels.current.endExpression();
    else if (isLetter(code)) {
      const word = position - start > WORD_LENGTH_MAX ? "" : sql.slice(start, position).toUpperCase();
      noteWord(levels, word, previousWord);
      previousWord = word;
      continue;
    } else {
      const strength = SYMBOL_STRENGTH.get(sql.slice(start, position)) ?? SYMBOL_STRENGTH.get(sql[start]!);
      if (strength !== undefined) levels.current.operator(strength);
    }
    previousWord = "";
  }
  return levels.closeAll();
}

function noteWord(levels: Levels, word: string, previousWord: string): void {
  const strength = WORD_STRENGTH.get(word);
  if (strength !== undefined) levels.current.operator(strength);
  else if (word === "CASE") levels.open(true);
  else if (word === "END" && levels.current.isCase) levels.close();
  // `IS DISTINCT FROM` goes on.
  else if (SEPARATORS.has(word) && !(word === "FROM" && previousWord === "DISTINCT")) {
    levels.current.endExpression();
  }
}

/** End of the token at `position`; negative for white space, comments, literals and quoted names. */
function endOfToken(sql: string, position: number, code: number): number {
  if (isLetter(code) || isDigit(code)) {
    let end = position + 1;
    while (end < sql.length && isWordPart(sql.charCodeAt(end))) end += 1;
    return isDigit(code) ? -end : end;
  }
  if (code <= SPACE) return -(position + 1);
  if (code === COMMA || code === PARENTHESIS_OPEN || code === PARENTHESIS_CLOSE) return position + 1;
  // A doubled quote reads as two literals, one after the other: no operator is lost.
  const closing = QUOTES.get(code);
  if (closing !== undefined) return -endAfter(sql, closing, position + 1);
  const pair = sql.slice(position, position + 2);
  if (pair === "--") return -endAfter(sql, "\n", position + 2);
  if (pair === "/*") return -endAfter(sql, "*/", position + 2);
  return SYMBOL_PAIRS.has(pair) ? position + 2 : position + 1;
}

function endAfter(sql: string, text: string, from: number): number {
  const found = sql.indexOf(text, from);
  return found < 0 ? sql.length : found + text.length;
}

/** No text shorter than this can be deeper: each level of depth takes an operator and an operand. */
export function canBeDeeperThan(depth: number, sqlLength: number): boolean {
  return sqlLength >= 2 * depth;
}

function isLetter(code: number): boolean {
  return (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a) || code === 0x5f || code > 0x7f;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** Digits may hold a point, an exponent, a hexadecimal number: all of it one token. */
function isWordPart(code: number): boolean {
  return isLetter(code) || isDigit(code) || code === 0x24 || code === 0x2e;
}
