// The document, parsed by the official parser; what it finds wrong ends the process.
import { DiagnosticSeverity, Parser } from "@asyncapi/parser";

export async function validated(text) {
  const { document, diagnostics } = await new Parser().parse(text);
  const wrong = diagnostics.filter(({ severity }) => severity <= DiagnosticSeverity.Warning);
  for (const { code, path, message } of wrong) console.error(`${path.join(".") || "$"}: ${message} (${code})`);
  if (wrong.length || !document) process.exit(1);
  return document;
}
