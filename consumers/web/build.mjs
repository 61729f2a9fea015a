// Builds the page: node build.mjs SOURCES OUTPUT [--check]. Packages lie beside this script, the sources need not.
// --check looks at the types as well, which takes longer.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const [sources, output, ...options] = process.argv.slice(2);
if (!sources || !output) {
  console.error("usage: node build.mjs SOURCES OUTPUT [--check]");
  process.exit(2);
}
const here = dirname(fileURLToPath(import.meta.url));
const packages = join(here, "node_modules");

if (options.includes("--check")) {
  const wanted = JSON.parse(readFileSync(join(sources, "tsconfig.json"), "utf8"));
  wanted.compilerOptions.paths = { "*": [`${packages}/@types/*`, `${packages}/*`] };
  wanted.include = [resolve(sources, "src")];
  const project = join(here, "tsconfig.checked.json");
  writeFileSync(project, JSON.stringify(wanted));
  const done = spawnSync(process.execPath, [join(packages, "typescript/bin/tsc"), "--project", project], {
    stdio: "inherit",
  });
  if (done.status !== 0) process.exit(done.status ?? 1);
}

rmSync(output, { recursive: true, force: true });
mkdirSync(output, { recursive: true });
await build({
  entryPoints: { page: join(sources, "src/main.ts"), style: join(sources, "src/style.css") },
  outdir: output,
  bundle: true,
  minify: true,
  sourcemap: "linked",
  format: "esm",
  target: "es2022",
  nodePaths: [packages],
  logLevel: "warning",
});
const licences = ["lightweight-charts", "d3-hierarchy"].map(
  (name) => `${name}\n\n${readFileSync(join(packages, name, "LICENSE"), "utf8")}`,
);
const notice = readFileSync(join(sources, "NOTICE.txt"), "utf8");
writeFileSync(join(output, "licences.txt"), [notice, ...licences].join(`\n${"-".repeat(80)}\n\n`));
cpSync(join(sources, "src/icon.svg"), join(output, "icon.svg"));
// Last: where it is there, the page is whole.
cpSync(join(sources, "src/index.html"), join(output, "index.html"));
