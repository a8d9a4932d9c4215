import type { z } from "zod";
import { NodeError } from "../../core/base/errors.ts";
import { RealLiteral } from "./json_body.ts";

/** A schema of `schemas.ts`, and what a body is after the check. */
export type Schema = z.ZodType;
export type Output<S extends Schema> = z.output<S>;

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

/** What the checks call the whole value when a message has no field to name. */
const WHOLE_BODY = "body";

/**
 * Checks a decoded body. Throws NodeError bad_request whose `field` is the path of the first part that is wrong, such
 * as `statements[2].params[0]`, and whose message says what was expected and what was found.
 */
export function validate<S extends Schema>(schema: S, body: unknown): Output<S> {
  const input = plainNumbers(body);
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  throw toBadRequest(result.error.issues[0], input);
}

/**
 * `{"timeout_ms": 1e3}` is a number like any other; that it was written as a REAL matters only inside `params`. All
 * number fields stand at the top of a body.
 */
function plainNumbers(body: unknown): unknown {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return body;
  let plain = body as Record<string, unknown>;
  for (const [key, value] of Object.entries(body)) {
    if (value instanceof RealLiteral) plain = { ...plain, [key]: value.value };
  }
  return plain;
}

function toBadRequest(issue: Issue | undefined, input: unknown): NodeError {
  if (issue === undefined) return new NodeError("bad_request", "Cannot use the body: it is not valid");
  const { path, inner } = descend(issue, []);
  if (inner.code === "unrecognized_keys") {
    const field = formatPath([...path, inner.keys[0] ?? ""]);
    return new NodeError("bad_request", `Unknown field "${field}"`, { field });
  }
  const field = formatPath(path);
  const found = valueAt(input, path);
  if (found === undefined && path.length > 0) {
    return new NodeError("bad_request", `Missing field "${field}": it ${expectation(inner)}`, { field });
  }
  const message = `Field "${field}" ${expectation(inner)}, found ${describe(found)}`;
  return new NodeError("bad_request", message, { field });
}

/** Follows a union to the one member whose shape fits the input, so that the path is as deep as possible. */
function descend(issue: Issue, prefix: Path): { readonly path: Path; readonly inner: Issue } {
  const path = [...prefix, ...issue.path];
  if (issue.code === "invalid_union") {
    for (const branch of issue.errors) {
      const first = branch[0];
      if (first !== undefined && isInsideShape(branch)) return descend(first, path);
    }
  }
  if (issue.code === "invalid_element" || issue.code === "invalid_key") {
    const first = issue.issues[0];
    if (first !== undefined) return descend(first, path);
  }
  return { path, inner: issue };
}

/** Whether a union member accepted the outer shape and complains about a value inside, or about the value's range. */
function isInsideShape(branch: readonly Issue[]): boolean {
  return branch.every((issue) => {
    if (issue.code === "unrecognized_keys") return false;
    if (issue.code === "custom") return issue.message !== "Invalid input";
    if (issue.path.length === 0) return issue.code === "too_big" || issue.code === "invalid_union";
    return !(issue.code === "invalid_type" && issue.message.endsWith("received undefined"));
  });
}

function expectation(issue: Issue): string {
  switch (issue.code) {
    case "invalid_type":
      return `must be ${TYPE_NAMES[issue.expected] ?? issue.expected}`;
    case "invalid_value":
      return `must be one of ${issue.values.map((value) => JSON.stringify(value)).join(", ")}`;
    case "too_big":
      return `must ${issue.origin === "array" ? "have" : "be"} at most ${issue.maximum}${unit(issue.origin)}`;
    case "too_small":
      return `must ${issue.origin === "array" ? "have" : "be"} at least ${issue.minimum}${
        unit(issue.origin)
      }`;
    default:
      return issue.message;
  }
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: "a string",
  int: "an integer",
  number: "a number",
  boolean: "a boolean",
  array: "an array",
  object: "an object",
  record: "an object",
};

function unit(origin: string): string {
  if (origin === "string") return " characters long";
  return origin === "array" ? " items" : "";
}

/** `["statements", 2, "params"]` as `statements[2].params`. */
export function formatPath(path: Path): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else text += text === "" ? String(part) : `.${String(part)}`;
  }
  return text === "" ? WHOLE_BODY : text;
}

function valueAt(input: unknown, path: Path): unknown {
  let value = input;
  for (const part of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[part];
  }
  return value;
}

/** Names what was found without repeating it: bodies hold other people's data, and errors are logged. */
function describe(value: unknown): string {
  if (value === null) return "null";
  if (value instanceof RealLiteral) return `number ${value.value}`;
  if (typeof value === "number") return Number.isNaN(value) ? "NaN" : `number ${value}`;
  if (typeof value === "boolean") return `boolean ${value}`;
  if (typeof value === "bigint") return "an integer beyond 2^53";
  if (typeof value === "string") return `a string of ${value.length} characters`;
  if (value instanceof Uint8Array) return "a byte string";
  if (Array.isArray(value)) return `an array of ${value.length} items`;
  return value === undefined ? "nothing" : "an object";
}
