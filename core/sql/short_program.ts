/**
 * Operations of SQLite's virtual machine (https://sqlite.org/opcode.html) that take a few microseconds at most, whatever they
 * are given: they move along an index, compare, copy, and keep what a small result needs. Not here: functions, which may
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
/** With a function as their operand. */
const AGGREGATE_OPERATIONS: ReadonlySet<string> = new Set(["AggStep", "AggStep1", "AggFinal", "AggValue"]);
/** Those that add or compare; as EXPLAIN writes them, without their number of arguments. */
const SHORT_AGGREGATES: ReadonlySet<string> = new Set(["count", "sum", "total", "avg", "min", "max"]);

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
  for (const { opcode, p4 } of operations) {
    if (SHORT_OPERATIONS.has(opcode)) continue;
    if (AGGREGATE_OPERATIONS.has(opcode) && SHORT_AGGREGATES.has(p4.replace(/\(.*$/, ""))) continue;
    return false;
  }
  return true;
}
