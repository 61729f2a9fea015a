// The fields of a record: name, type, bounds and meaning, one after the other; and a topic's settings in words.
import { code, escape, inline } from "./markup.mjs";

const number = (value) => (Math.abs(value) >= 1e21 ? value.toExponential() : value.toLocaleString("en", { maximumFractionDigits: 10 }));

// What a field may be; a type of its own is a link to its fields.
function type(schema) {
  if (schema.$ref) {
    const name = schema.$ref.split("/").at(-1);
    return `<a href="#type-${name}">${escape(name)}</a>`;
  }
  if (schema.anyOf) return schema.anyOf.map(type).join(" or ");
  if (schema.enum) return "one of";
  if (schema.type === "array") return `list of ${type(schema.items)}`;
  const said = [schema.type].flat().join(" or ");
  return escape(schema.format ? `${said} (${schema.format})` : said);
}

function bounds({ minimum, maximum, maxLength, maxItems, pattern }) {
  const said = [];
  if (minimum !== undefined && maximum !== undefined) said.push(`${number(minimum)} to ${number(maximum)}`);
  else if (minimum !== undefined) said.push(`at least ${number(minimum)}`);
  else if (maximum !== undefined) said.push(`at most ${number(maximum)}`);
  if (maxLength !== undefined) said.push(`at most ${number(maxLength)} characters`);
  if (maxItems !== undefined) said.push(`at most ${number(maxItems)} items`);
  if (pattern !== undefined) said.push(code(pattern));
  return said;
}

function field(name, schema, required) {
  const values = schema.const === undefined ? schema.enum : [schema.const];
  const notes = bounds(schema);
  if (!required) notes.push(schema.default == null ? "may be absent" : `if absent: ${code(JSON.stringify(schema.default))}`);
  return `<div><dt>${code(name)} <span class="type">${type(schema)}</span></dt><dd>
${schema.description ? `<p>${inline(schema.description)}</p>` : ""}
${values ? `<p class="values">${values.map(code).join(" ")}</p>` : ""}
${notes.length ? `<p class="bounds">${notes.join("; ")}</p>` : ""}
</dd></div>`;
}

export function fields(schema) {
  if (!schema.properties) return `<p>${type(schema)}</p>`;
  const required = new Set(schema.required);
  const rows = Object.entries(schema.properties).map(([name, one]) => field(name, one, required.has(name)));
  return `<dl class="fields">${rows.join("\n")}</dl>`;
}

const UNITS = [["days", 86_400_000], ["hours", 3_600_000], ["minutes", 60_000], ["s", 1_000]];

// A setting's value; what is counted in ms is told in words beside it.
export function setting(name, value) {
  if (Array.isArray(value)) return value.map(code).join(", ");
  if (typeof value !== "number") return code(value);
  const [unit, size] = (name.endsWith(".ms") && UNITS.find(([, length]) => value >= length && value % length === 0)) || [];
  return number(value) + (unit ? ` (${value / size} ${unit})` : "");
}
