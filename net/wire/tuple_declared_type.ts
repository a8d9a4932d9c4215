import { ValueType } from "./tuple.ts";

/** SQLite's numbers of its storage classes. */
export const StorageClass = { integer: 1, float: 2, text: 3, blob: 4, null: 5 } as const;
export type StorageClass = (typeof StorageClass)[keyof typeof StorageClass];

/** The declared types of columns that change how their values are sent. */
export type DeclaredType = "plain" | "time" | "boolean";

const SPECIAL: ReadonlyMap<string, DeclaredType> = new Map([
  ["DATETIME", "time"],
  ["DATE", "time"],
  ["TIMESTAMP", "time"],
  ["BOOLEAN", "boolean"],
]);

/**
 * @param text as SQLite gives it: compared whole and without regard to case, so that `DATETIME(6)` is plain, as in
 * dqlite. Undefined or null for an expression.
 */
export function declaredTypeOf(text: string | null | undefined): DeclaredType {
  return SPECIAL.get((text ?? "").toUpperCase()) ?? "plain";
}

/**
 * The type under which a value is sent. What does not fit the declared type goes by its storage class, and NULL is
 * always NULL: dqlite ends its process on the one and sends "" or false for the other.
 */
export function wireTypeOf(storageClass: StorageClass, declaredType: DeclaredType): ValueType {
  if (declaredType === "plain") return storageClass;
  if (declaredType === "boolean") {
    return storageClass === StorageClass.integer ? ValueType.boolean : storageClass;
  }
  if (storageClass === StorageClass.integer) return ValueType.unixTime;
  return storageClass === StorageClass.text ? ValueType.iso8601 : storageClass;
}

const TIME = /^\d{4}-(\d\d)-(\d\d)(?:[ T](\d\d?):(\d\d)(?::(\d\d)(?:[.,]\d+)?(?:[+-](\d\d):(\d\d))?)?)?Z?$/;

/**
 * Whether go-dqlite can read `text` as a time. One text in a result that it cannot read is an error for the whole row,
 * so such a text in a column of times is better sent as text.
 */
export function isIso8601(text: string): boolean {
  const match = TIME.exec(text);
  if (match === null) return false;
  const [month = 0, day = 0, hour = 0, minute = 0, second = 0, offsetHour = 0, offsetMinute = 0] = match
    .slice(1)
    .map((part) => Number(part ?? 0));
  if (month < 1 || month > 12 || day < 1 || day > daysOf(Number(text.slice(0, 4)), month)) return false;
  return hour < 24 && minute < 60 && second < 60 && offsetHour < 24 && offsetMinute < 60;
}

function daysOf(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}
