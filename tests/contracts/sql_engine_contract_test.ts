import { loadEngineModule } from "../../core/sql/wasm/load_engine.ts";
import { sqlEngineContract } from "./sql_engine_contract.ts";

sqlEngineContract("wa-sqlite", loadEngineModule);
