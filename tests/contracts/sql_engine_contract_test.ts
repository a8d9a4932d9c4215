import { ENGINE_NAMES } from "../../core/sql/engine.ts";
import { loadEngineModule } from "../../core/sql/wasm/load_engine.ts";
import { sqlEngineContract } from "./sql_engine_contract.ts";

for (const name of ENGINE_NAMES) sqlEngineContract(name, () => loadEngineModule(name));
