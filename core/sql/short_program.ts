/**
 * Operations of SQLite's virtual machine (https://sqlite.org/opcode.html) that take a few microseconds at most, whatever they
 * are given: they move along an index, compare, copy, and keep what a small result needs. Not here: functions, most of which may
 * take any time; `Count`, which walks through a whole table in one step; virtual tables; whatever writes.
 */
const SHORT_OPERATIONS: ReadonlySet<string> = new Set([
  ...["Init", "Goto", "Halt", "Transaction", "Noop", "Explain", "Trace", "Once", "Close"],
  ...[
    "Gosub",
    "Return",
    "BeginSubrtn",
    "InitCoroutine",
    "EndCoroutine",
    "Yield",
    "Jump",
    "Compare",
    "Permutation",
  ],
  ...[
    "OpenRead",
    "ReopenIdx",
    "OpenDup",
    "OpenEphemeral",
    "OpenPseudo",
    "NullRow",
    "Rewind",
    "Last",
    "Next",
    "Prev",
  ],
  ...[
    "SeekRowid",
    "NotExists",
    "SeekGE",
    "SeekGT",
    "SeekLE",
    "SeekLT",
    "Found",
    "NotFound",
    "NoConflict",
    "IfNoHope",
  ],
  ...["SeekHit", "SeekScan", "DeferredSeek", "FinishSeek", "IdxGE", "IdxGT", "IdxLE", "IdxLT", "IdxRowid"],
  ...["Rowid", "Column", "Offset", "RowData", "Sequence", "ResultRow", "MakeRecord", "Affinity", "TypeCheck"],
  ...["Integer", "Int64", "Real", "String", "String8", "Blob", "Null", "SoftNull", "Variable"],
  ...["Move", "Copy", "SCopy", "IntCopy", "Cast", "RealAffinity", "MustBeInt", "CollSeq", "Concat"],
  ...[
    "Add",
    "Subtract",
    "Multiply",
    "Divide",
    "Remainder",
    "BitAnd",
    "BitOr",
    "BitNot",
    "ShiftLeft",
    "ShiftRight",
  ],
  ...[
    "AddImm",
    "And",
    "Or",
    "Not",
    "IsTrue",
    "IsType",
    "If",
    "IfNot",
    "IsNull",
    "NotNull",
    "ZeroOrNull",
    "IfNullRow",
  ],
  ...[
    "Eq",
    "Ne",
    "Lt",
    "Le",
    "Gt",
    "Ge",
    "ElseEq",
    "IfPos",
    "IfNotZero",
    "DecrJumpZero",
    "OffsetLimit",
    "IfSmaller",
  ],
  ...[
    "SorterOpen",
    "SorterInsert",
    "SorterSort",
    "SorterData",
    "SorterNext",
    "SorterCompare",
    "Sort",
    "ResetSorter",
  ],
  // Into tables that live as long as the query.
  ...["IdxInsert", "IdxDelete", "Insert", "NewRowid", "Delete", "Clear", "ResetCount"],
]);
const FUNCTION_OPERATIONS: ReadonlySet<string> = new Set(["Function", "PureFunc"]);
/** Those that cost no more than arithmetic on the same values; as EXPLAIN writes them, without their number of arguments. */
const SHORT_FUNCTIONS: ReadonlySet<string> = new Set([
  ...["current_timestamp", "current_date", "current_time"],
  ...["date", "time", "datetime", "julianday", "unixepoch"],
  ...["abs", "sign", "round", "random", "typeof"],
]);
/** With a function as their operand. */
const AGGREGATE_OPERATIONS: ReadonlySet<string> = new Set(["AggStep", "AggStep1", "AggFinal", "AggValue"]);
/** Those that add or compare; as EXPLAIN writes them, without their number of arguments. */
const SHORT_AGGREGATES: ReadonlySet<string> = new Set(["count", "sum", "total", "avg", "min", "max"]);

/** The same of statements that write. */
const SHORT_WRITES: ReadonlySet<string> = new Set([
  ...["OpenWrite", "HaltIfNull", "MemMax", "RowSetAdd", "RowSetRead", "RowSetTest"],
  ...["FkCheck", "FkCounter", "FkIfZero"],
]);
/** Empties a table that stays, page by page; a query has only tables of its own to empty. */
const LONG_WRITES: ReadonlySet<string> = new Set(["Clear"]);

export interface Operation {
  readonly opcode: string;
  /** The fourth operand, as EXPLAIN writes it. */
  readonly p4: string;
}

/**
 * Whether no single operation of a compiled query can take long. How many it runs, and how many pages it reads, has to be
 * bounded where it runs.
 */
export function isShortProgram(operations: Iterable<Operation>): boolean {
  return isEach(operations, (opcode) => SHORT_OPERATIONS.has(opcode));
}

/** The same for a statement that writes; one with triggers has programs inside, and is none. */
export function isShortWrite(operations: Iterable<Operation>): boolean {
  const isShort = (opcode: string) => SHORT_OPERATIONS.has(opcode) || SHORT_WRITES.has(opcode);
  return isEach(operations, (opcode) => isShort(opcode) && !LONG_WRITES.has(opcode));
}

function isEach(operations: Iterable<Operation>, isShort: (opcode: string) => boolean): boolean {
  for (const { opcode, p4 } of operations) {
    if (isShort(opcode)) continue;
    const functionName = p4.replace(/\(.*$/, "");
    if (FUNCTION_OPERATIONS.has(opcode) && SHORT_FUNCTIONS.has(functionName)) continue;
    if (AGGREGATE_OPERATIONS.has(opcode) && SHORT_AGGREGATES.has(functionName)) continue;
    return false;
  }
  return true;
}
