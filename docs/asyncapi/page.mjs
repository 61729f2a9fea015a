// node page.mjs DOCUMENT PAGE: one self-contained HTML page that needs no network, by the official React component.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";

import { stringify } from "@asyncapi/parser";

import { validated } from "./document.mjs";

const [source, page] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const component = (file) => readFileSync(require.resolve(`@asyncapi/react-component/${file}`), "utf8");

const document = await validated(readFileSync(source, "utf8"));
const schema = stringify(document).replaceAll("<", "\\u003c");
const title = `${document.info().title()} ${document.info().version()}`;
const code = component("browser/standalone/without-parser.js").replaceAll("</script", "<\\/script");

mkdirSync(dirname(page), { recursive: true });
writeFileSync(
  page,
  `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${component("styles/default.min.css")}</style>
</head>
<body>
<div id="document"></div>
<script>${code}</script>
<script>
AsyncApiStandalone.render({ schema: ${schema}, config: { show: { sidebar: true } } }, document.getElementById("document"));
</script>
</body>
</html>
`,
);
