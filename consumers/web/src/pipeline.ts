// The pipeline behind the page: rates, lag and latency as strips, what is wrong, and what happened to the lines.
import { el, put, variable } from "./dom.ts";
import * as format from "./format.ts";
import type { FeedEvent } from "./records.ts";
import type { Key } from "./texts.ts";
import type { Context, Sample, View } from "./view.ts";

const SPAN = 300;
const EVENTS = 100;

interface Strip {
  key: Key;
  value: (sample: Sample) => number | null;
  text: (value: number | null) => string;
}

const STRIPS: readonly Strip[] = [
  { key: "rate", value: ({ status }) => status.ticks_per_s, text: format.count },
  { key: "lag", value: ({ status }) => status.lag, text: format.count },
  { key: "latency_50", value: ({ status }) => status.latency_ms.p50, text: format.milliseconds },
  { key: "latency", value: ({ status }) => status.latency_ms.p99, text: format.milliseconds },
  { key: "age", value: ({ status }) => status.feed_age_ms, text: format.milliseconds },
  { key: "page_rows", value: ({ rows }) => rows, text: format.count },
  { key: "frames", value: ({ frames }) => frames, text: format.count },
];

export class PipelineView implements View {
  readonly element: HTMLElement;
  readonly #context: Context;
  readonly #strips: { strip: Strip; canvas: HTMLCanvasElement; value: HTMLElement; most: HTMLElement }[] = [];
  readonly #problems = el("ul", { class: "problems" });
  readonly #events = el("tbody", { id: "events" });
  readonly #empty: HTMLElement;
  readonly #counts = new Map<Key, HTMLElement>();
  #changed = true;

  constructor(context: Context) {
    this.#context = context;
    const { say } = context;
    const strips = el("div", { class: "strips" });
    for (const strip of STRIPS) {
      const canvas = el("canvas", { role: "img", "aria-label": `${say(strip.key)}, ${say("minutes")}` });
      const value = el("span", { class: "now" });
      const most = el("span", { class: "most" });
      this.#strips.push({ strip, canvas, value, most });
      strips.append(el("figure", {}, el("figcaption", {}, el("span", {}, say(strip.key)), value), canvas, most));
    }
    const counts = el("dl", { class: "figures" });
    for (const key of ["codes", "gaps", "clients"] as const) {
      const value = el("dd");
      this.#counts.set(key, value);
      counts.append(el("div", {}, el("dt", {}, say(key)), value));
    }
    const heads = (["time", "event", "source", "reason", "codes"] as const).map((key) => el("th", { scope: "col", class: `e-${key}` }, say(key)));
    this.#empty = el("p", { class: "empty", role: "status" }, say("no_events"));
    this.element = el("section", { class: "view pipeline", "aria-label": say("pipeline"), tabindex: 0 },
      strips,
      el("div", { class: "columns" },
        el("aside", {}, el("h2", {}, say("problems")), this.#problems, counts,
          el("p", { class: "note" }, el("a", { href: "licences.txt" }, say("licences")))),
        el("div", { class: "main" }, el("h2", {}, say("events")),
          el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": say("events") },
            el("table", { class: "tape" }, el("thead", {}, el("tr", {}, ...heads)), this.#events), this.#empty))));
  }

  status(): void {
    this.#changed = true;
  }

  event(): void {
    this.#changed = true;
  }

  paint(): void {
    if (!this.#changed) return;
    this.#changed = false;
    const { history, say, events } = this.#context;
    const last = history.at(-1);
    for (const { strip, canvas, value, most } of this.#strips) {
      const values = history.map(strip.value);
      put(value, strip.text(values.at(-1) ?? null));
      const highest = Math.max(0, ...values.map((one) => one ?? 0));
      put(most, strip.text(highest));
      draw(canvas, values, highest);
    }
    if (last !== undefined) {
      const problems = last.status.problems.length > 0 ? last.status.problems : [say("none")];
      this.#problems.replaceChildren(...problems.map((problem) => el("li", {}, problem)));
      for (const [key, element] of this.#counts) put(element, format.count(last.status[key as "codes" | "gaps" | "clients"]));
    }
    this.#events.replaceChildren(...[...events].reverse().slice(0, EVENTS).map((event) => row(event, say)));
    this.#empty.hidden = events.length > 0;
  }

  close(): void {
    // Nothing of it outlives the element.
  }
}

function row(event: FeedEvent, say: Context["say"]): HTMLElement {
  const codes = event.codes === "all" ? say("all") : event.codes == null ? "" : event.codes.slice(0, 5).join(" ") + (event.codes.length > 5 ? ` +${event.codes.length - 5}` : "");
  const span = event.start == null ? "" : ` ${format.clock(event.start / 1000)}–${event.end == null ? "…" : format.clock(event.end / 1000)}`;
  return el("tr", { class: event.event === "gap" ? "gap" : "" },
    el("td", { class: "e-time" }, format.clock(event.at / 1000)),
    el("td", { class: "e-event" }, `${event.event}${span}`),
    el("td", { class: "e-source" }, event.source),
    el("td", { class: "e-reason" }, event.reason ?? event.detected ?? ""),
    el("td", { class: "e-codes" }, codes));
}

function draw(canvas: HTMLCanvasElement, values: readonly (number | null)[], highest: number): void {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  if (pen === null) return;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const scale = highest > 0 ? (height - 4) / highest : 0;
  const step = width / (SPAN - 1);
  const from = width - (values.length - 1) * step;
  pen.strokeStyle = variable("--accent");
  pen.fillStyle = variable("--accent-soft");
  pen.lineWidth = 1.5;
  pen.beginPath();
  let open = false;
  values.forEach((value, index) => {
    const x = from + index * step;
    if (value === null) {
      open = false;
      return;
    }
    const y = height - 1 - value * scale;
    if (open) pen.lineTo(x, y);
    else pen.moveTo(x, y);
    open = true;
  });
  pen.stroke();
  pen.fillStyle = variable("--gap");
  // Where a figure is not known, nothing is drawn but a band.
  values.forEach((value, index) => {
    if (value === null) pen.fillRect(from + (index - 0.5) * step, 0, step, height);
  });
}
