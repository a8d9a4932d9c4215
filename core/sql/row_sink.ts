/** A column of a result as SQLite describes it. */
export interface ResultColumn {
  readonly name: string;
  /** See `EngineStatement.declaredType`. */
  readonly declaredType: string | undefined;
}

/** Takes the values of SQLite's storage classes. */
export interface ValueSink {
  null(): void;
  /** A bigint where a number would lose digits. */
  integer(value: number | bigint): void;
  real(value: number): void;
  /** UTF-8 as SQLite stores it: it need not be valid. Only looked at during the call. */
  text(utf8: Uint8Array): void;
  /** Only looked at during the call. */
  blob(bytes: Uint8Array): void;
}

/**
 * Takes the rows of one query where it runs, in whatever form it likes, in place of an encoded answer: only for queries
 * that run on the thread of whoever asks.
 */
export interface RowSink extends ValueSink {
  /** First of all. The list stays the same as long as the statement does, so what is made of it can be kept. */
  begin(columns: readonly ResultColumn[]): void;
  /** A value for each column follows. */
  startRow(): void;
  /** Bytes taken so far. */
  readonly length: number;
  /** All rows are there. After a query that fails before, the sink is of no use. */
  end(): void;
}
