// node page.mjs DOCUMENT PAGE VERSION: one HTML page of the topics. It needs no network and no script.
// VERSION is the project's; the document has one of its own, which changes with the records.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

import { validated } from "./document.mjs";
import { fields, setting } from "./fields.mjs";
import { block, code, escape, inline } from "./markup.mjs";

const [source, page, version] = process.argv.slice(2);
const text = readFileSync(source, "utf8");
await validated(text);
const { info, channels, operations, components, servers } = JSON.parse(text);
const style = readFileSync(new URL("style.css", import.meta.url), "utf8");

const last = (reference) => reference.$ref.split("/").at(-1);
const example = (value) => `<pre><code>${escape(JSON.stringify(value, null, 2))}</code></pre>`;
const opened = (summary, body) => `<details open><summary>${summary}</summary>${body}</details>`;

function topic(name, channel) {
  const message = components.messages[last(Object.values(channel.messages)[0])];
  const key = message.bindings.kafka.key;
  const { partitions, replicas, topicConfiguration } = channel.bindings.kafka;
  const [operation] = Object.values(operations).filter(({ channel: { $ref } }) => $ref === `#/channels/${name}`);
  const facts = {
    key: key ? `${code(key.title)}: ${inline(key.description ?? "")}` : "none",
    record: `${code(message.title)}, ${escape(message.contentType)}`,
    written: operation.action === "send" ? "by the pipeline" : "by operators, read by the pipeline",
    partitions: `${partitions}, replicas ${replicas}`,
    ...Object.fromEntries(Object.entries(topicConfiguration).map(([one, value]) => [code(one), setting(one, value)])),
  };
  const payload = components.schemas[last(message.payload)];
  const headers = message.headers && components.schemas[last(message.headers)];
  return `<section id="${name}">
<h2 id="type-${last(message.payload)}">${escape(name)} ${channel.tags.map((tag) => `<span class="tag ${tag.name}">${escape(tag.name)}</span>`).join(" ")}</h2>
<p>${inline(channel.summary)}</p>
${opened(`Fields of ${code(message.title)}`, block(payload.description) + fields(payload))}
${headers ? opened("Headers", block(headers.description) + fields(headers)) : ""}
<details><summary>Examples</summary>${message.examples.map(({ name: _, ...parts }) => example(parts.headers ? parts : parts.payload)).join("")}</details>
${opened("Kafka", `<dl class="facts">${Object.entries(facts).map(([name, value]) => `<div><dt>${name}</dt><dd>${value}</dd></div>`).join("")}</dl>`)}
</section>`;
}

const carried = new Set(Object.values(components.messages).flatMap((one) => [one.payload, one.headers ?? []].flat().map(last)));
const inner = Object.entries(components.schemas).filter(([name]) => !carried.has(name));
const title = `${info.title} ${version}`;
const { host, variables, description } = servers.kafka;
const address = host.replace(/\{(\w+)\}/g, (_, name) => variables[name].default);

mkdirSync(dirname(page), { recursive: true });
writeFileSync(
  page,
  `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escape(title)}: topics</title>
<style>
${style}</style>
</head>
<body>
<nav aria-label="Topics"><ul>
${Object.keys(channels).map((name) => `<li><a href="#${name}">${escape(name)}</a></li>`).join("\n")}
<li><a href="#types">Types of fields</a></li>
</ul></nav>
<main>
<h1>${escape(info.title)} <span class="version">${escape(version)}</span></h1>
<p class="of">AsyncAPI document ${escape(info.version)}, ${escape(info.license.name)}</p>
${block(info.description)}
<p>${code(address)}: ${inline(description)}</p>
${Object.entries(channels).map(([name, channel]) => topic(name, channel)).join("\n")}
<section id="types">
<h2>Types of fields</h2>
${inner.map(([name, schema]) => `<div id="type-${name}">${opened(code(name), block(schema.description ?? "") + fields(schema))}</div>`).join("\n")}
</section>
</main>
</body>
</html>
`,
);
