/**
 * The PRAGMAs that are allowed; all others are refused. A list of what is allowed, because each release of SQLite may
 * add a PRAGMA that changes files or the state of a connection which many callers share.
 */

/** With any argument, or none: they only report. */
const REPORTING: ReadonlySet<string> = new Set([
  "collation_list",
  "compile_options",
  "data_version",
  "database_list",
  "foreign_key_check",
  "foreign_key_list",
  "freelist_count",
  "function_list",
  "index_info",
  "index_list",
  "index_xinfo",
  "integrity_check",
  "module_list",
  "page_count",
  "pragma_list",
  "quick_check",
  "table_info",
  "table_list",
  "table_xinfo",
]);

/** Without an argument they report; with one they would change the connection or the file format. */
const REPORTING_WITHOUT_ARGUMENT: ReadonlySet<string> = new Set([
  "analysis_limit",
  "auto_vacuum",
  "automatic_index",
  "busy_timeout",
  "cache_size",
  "cache_spill",
  "cell_size_check",
  "checkpoint_fullfsync",
  "encoding",
  "foreign_keys",
  "fullfsync",
  "hard_heap_limit",
  "ignore_check_constraints",
  "journal_mode",
  "journal_size_limit",
  "legacy_alter_table",
  "locking_mode",
  "max_page_count",
  "mmap_size",
  "page_size",
  "query_only",
  "read_uncommitted",
  "recursive_triggers",
  "reverse_unordered_selects",
  "schema_version",
  "secure_delete",
  "soft_heap_limit",
  "synchronous",
  "temp_store",
  "threads",
  "trusted_schema",
  "wal_autocheckpoint",
  "writable_schema",
]);

/** They change the database itself, in pages that are replicated, or last until the end of the transaction. */
const CHANGING: ReadonlySet<string> = new Set([
  "application_id",
  "defer_foreign_keys",
  "incremental_vacuum",
  "optimize",
  "user_version",
]);

const REASONS: ReadonlyMap<string, string> = new Map([
  ["auto_vacuum", "auto_vacuum of a database is fixed when it is created"],
  ["encoding", "every database is created in UTF-8"],
  ["foreign_keys", "foreign keys are always on"],
  ["page_size", "the page size of a database is fixed when it is created"],
]);

/** Why the PRAGMA is refused; undefined when it is allowed. */
export function refusePragma(name: string, argument: string): string | undefined {
  const pragma = name.toLowerCase();
  if (REPORTING.has(pragma) || CHANGING.has(pragma)) return undefined;
  if (argument === "" && REPORTING_WITHOUT_ARGUMENT.has(pragma)) return undefined;
  const reason = REASONS.get(pragma) ??
    "it would change how this node stores or runs the database, which the other nodes cannot follow";
  return `PRAGMA ${pragma}${argument === "" ? "" : " with a value"}: ${reason}`;
}
