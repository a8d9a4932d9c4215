import { deepEqual, equal, notEqual } from "node:assert/strict";
import { readParameters, ValueType, writeParameters } from "../wire/tuple.ts";
import { TupleReader } from "../wire/tuple_reader.ts";
import { TupleWriter } from "../wire/tuple_writer.ts";
import { type Parameter, parametersOf, tupleOf } from "./parameters.ts";

Deno.test("tupleOf(), parametersOf() keep integers and reals apart", () => {
  const parameters: Parameter[] = [
    1,
    2 ** 53,
    -0,
    { real: 3 },
    1.5,
    2n ** 60n,
    "text",
    true,
    null,
    new Uint8Array([1, 2]),
  ];
  const tuple = tupleOf(parameters);
  deepEqual([...tuple.types as Uint8Array], [1, 2, 2, 2, 2, 1, 3, 11, 5, 4]);
  const writer = new TupleWriter();
  writeParameters(writer, 0, tuple);
  const body = writer.take();
  const read = parametersOf(readParameters(new TupleReader(body), 0));
  deepEqual(read, parameters);
  notEqual((read[9] as Uint8Array).buffer, body.buffer);
});

Deno.test("parametersOf() binds a time as its text and a NaN as REAL", () => {
  const read = parametersOf({ types: [ValueType.iso8601, ValueType.float], values: ["2024-01-02", NaN] });
  equal(read[0], "2024-01-02");
  equal(Number.isNaN(read[1]), true);
});
