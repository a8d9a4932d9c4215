import { NodeError } from "../base/errors.ts";
import type { Clock, Disk, Random } from "../base/ports.ts";
import { LIMITS } from "../base/limits.ts";
import { HEADER_BYTES, pageSizeOf } from "../pages/database_header.ts";
import { ReaderSession } from "./reader_session.ts";
import type { EngineModule } from "./engine.ts";

/**
 * Checks an uploaded file the way SQLite would on first use: header, page size, length, `integrity_check`.
 *
 * @throws NodeError database_file_invalid with what is wrong
 */
export async function checkDatabaseFile(
  path: string,
  options: { module: EngineModule; disk: Disk; clock: Clock; random: Random },
): Promise<{ pageSize: number; pageCount: number }> {
  const file = options.disk.openFile(path, "read");
  try {
    const header = new Uint8Array(HEADER_BYTES);
    const read = file.readAt(header, 0);
    const pageSize = read === header.length ? pageSizeOf(header) : undefined;
    if (pageSize === undefined) throw invalid("it does not begin with a SQLite header");
    const size = file.size();
    if (size % pageSize !== 0) {
      throw invalid(`its ${size} bytes are not a multiple of its page size ${pageSize}`);
    }
    const pageCount = size / pageSize;
    const source = {
      pageSize,
      pageCount: () => pageCount,
      readPage: (pageNumber: number, into: Uint8Array): boolean =>
        pageNumber <= pageCount && file.readAt(into, (pageNumber - 1) * pageSize) === pageSize,
      at: 0,
    };
    const session = await ReaderSession.open({ ...options, source, cancel: { isCancelled: () => false } });
    try {
      const problems = integrityProblems(session, options.clock);
      if (problems !== "ok") throw invalid(`integrity_check says: ${problems}`);
    } finally {
      session.close();
    }
    return { pageSize, pageCount };
  } finally {
    file.close();
  }
}

function integrityProblems(session: ReaderSession, clock: Clock): string {
  try {
    const { fields } = session.query({
      sql: "PRAGMA integrity_check(3)",
      parameters: [],
      viewIndex: 1,
      deadlineMs: clock.nowMs() + LIMITS.requestMsMax,
      format: "json",
      rowShape: "arrays",
    });
    const { rows } = JSON.parse(`{${new TextDecoder().decode(fields.bytes)}}`) as { rows: string[][] };
    return rows.map((row) => row[0]).join("; ");
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function invalid(reason: string): NodeError {
  return new NodeError("database_file_invalid", `Cannot use the uploaded file as a database: ${reason}`);
}
