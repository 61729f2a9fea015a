// node validate.mjs DOCUMENT: exit 1 and a line for each error and warning of the official parser.
import { readFileSync } from "node:fs";

import { validated } from "./document.mjs";

await validated(readFileSync(process.argv[2], "utf8"));
