import { NodeError } from "../../../core/base/errors.ts";
import type { DatabaseDescription } from "../../../core/node/service.ts";
import type {
  CheckpointAnswerBody,
  CreateDatabaseAnswerBody,
  DatabaseBody,
  DatabaseListBody,
  DropDatabaseAnswerBody,
  RestoreAnswerBody,
} from "../../api/contract.ts";
import { CheckpointQuery, CreateDatabaseRequestBody } from "../../api/schemas.ts";
import { mediaType } from "../answer_encoding.ts";
import { type Call, indexHeader } from "../call.ts";
import type { HttpResponse } from "../http_message.ts";
import { readPieces } from "../read_body.ts";

const FILE_TYPE = "application/vnd.sqlite3";
const UPLOAD_TYPES = new Set(["", FILE_TYPE, "application/x-sqlite3", "application/octet-stream"]);

/** `GET /v1/databases` */
export async function listDatabases(call: Call): Promise<HttpResponse> {
  const databases = await call.node.listDatabases();
  return call.answer(200, { databases: databases.map(toDatabaseBody) } satisfies DatabaseListBody);
}

/** `POST /v1/databases` */
export async function createDatabase(call: Call): Promise<HttpResponse> {
  const { name, timeout_ms: timeoutMs } = await call.body(CreateDatabaseRequestBody);
  const { index } = await call.node.createDatabase(name, true, timeoutMs);
  return call.answer(201, { name, index } satisfies CreateDatabaseAnswerBody, index);
}

/** `GET /v1/databases/{database}` */
export async function describeDatabase(call: Call): Promise<HttpResponse> {
  const description = await call.node.describeDatabase(call.database);
  return call.answer(200, toDatabaseBody(description), description.index);
}

/** `DELETE /v1/databases/{database}` */
export async function dropDatabase(call: Call): Promise<HttpResponse> {
  const { index } = await call.node.dropDatabase(call.database, call.timeoutMs);
  return call.answer(200, { index } satisfies DropDatabaseAnswerBody, index);
}

/** `GET /v1/databases/{database}/backup` */
export async function backup(call: Call): Promise<HttpResponse> {
  const name = call.database;
  const { index, bytes, chunks } = await call.node.backup(name, call.timeoutMs);
  return {
    status: 200,
    headers: [
      `content-type: ${FILE_TYPE}`,
      `content-disposition: attachment; filename="${name}.db"`,
      indexHeader(index),
    ],
    body: { length: bytes, chunks },
  };
}

/** `POST /v1/databases/{database}/checkpoint`. For the file of this node: it is never passed on. */
export async function checkpoint(call: Call): Promise<HttpResponse> {
  const name = call.database;
  const { mode, timeout_ms: timeoutMs } = call.query(CheckpointQuery);
  const { index, complete } = await call.node.checkpoint(name, mode, timeoutMs);
  return call.answer(200, { checkpoint_index: index, complete } satisfies CheckpointAnswerBody);
}

/** `PUT /v1/databases/{database}` */
export async function restore(call: Call): Promise<HttpResponse> {
  const name = call.database;
  const timeoutMs = call.timeoutMs;
  const type = mediaType(call.request.headers.get("content-type"));
  if (!UPLOAD_TYPES.has(type)) {
    throw new NodeError(
      "unsupported_media_type",
      `Cannot restore from ${type}: send content-type: ${FILE_TYPE}`,
    );
  }
  const pieces = readPieces(call.request.body, call.services.uploadBytesMax);
  const { index, pages, pageSize } = await call.node.restore(name, pieces, timeoutMs);
  return call.answer(200, { index, pages, page_size: pageSize } satisfies RestoreAnswerBody, index);
}

function toDatabaseBody(description: DatabaseDescription): DatabaseBody {
  return {
    name: description.name,
    id: description.id,
    page_size: description.pageSize,
    pages: description.pages,
    bytes: description.bytes,
    index: description.index,
    tip: description.tip,
    checkpoint_index: description.checkpointIndex,
  };
}
