// One stock: its chart, its session, its last ticks.
import { Chart } from "./chart.ts";
import { el, put, tone } from "./dom.ts";
import * as format from "./format.ts";
import { amplitude, change } from "./market.ts";
import type { Row } from "./protocol.ts";
import type { Bar, FeedEvent, Tick } from "./records.ts";
import { candles, gaps, gapTimes, line, ofTicks, withBars } from "./series.ts";
import type { Key } from "./texts.ts";
import { type Context, toggleWatched, type View } from "./view.ts";

const SHOWN = 60;
const KEPT = 20_000;
const DRAW_MS = 500;
const BARS_MS = 15_000;

type Seen = Pick<Tick, "time" | "price"> & { volume?: number | null | undefined };

const FIGURES = [
  "open", "high", "low", "previous_close", "upper", "lower", "amplitude", "volume", "turnover", "ticks", "doubtful",
  "quality", "received_at", "gap",
] as const satisfies readonly Key[];

export class DetailView implements View {
  readonly element: HTMLElement;
  readonly #context: Context;
  readonly #code: string;
  readonly #chart: Chart;
  readonly #price = el("span", { class: "price", id: "detail-price" });
  readonly #moved = el("span", { class: "moved" });
  readonly #name = el("span", { class: "name" });
  readonly #note = el("p", { class: "note", role: "status" });
  readonly #figures = new Map<Key, HTMLElement>();
  readonly #list = el("tbody", { id: "last-ticks" });
  readonly #place: HTMLElement;
  #ticks: Seen[] = [];
  #bars: Bar[] = [];
  #row: Row | undefined;
  #drawn = -Infinity;
  #asked = -Infinity;
  #changed = true;
  #closed = false;

  constructor(context: Context, code: string) {
    this.#context = context;
    this.#code = code;
    const { say, settings } = context;
    const go = el("input", {
      id: "search", type: "search", placeholder: `${say("code")}  /`, "aria-label": say("search"), autocomplete: "off", maxlength: 32,
      list: "codes",
      keydown: (event) => {
        if ((event as KeyboardEvent).key === "Enter") this.#go(go.value);
      },
    });
    const star = el("button", {
      type: "button", class: "star", "aria-label": `${say("watch")} ${code}`,
      click: () => this.#star(star, toggleWatched(context, code)),
    });
    this.#star(star, settings.watchlist.includes(code));
    const kinds = (["line", "candles"] as const).map((kind) => {
      const button = el("button", {
        type: "button", "aria-pressed": String(settings.chart === kind), id: `chart-${kind}`,
        click: () => {
          settings.chart = kind;
          context.save();
          for (const one of kinds) one.setAttribute("aria-pressed", String(one === button));
          this.#chart.refit();
          this.#changed = true;
          this.#drawn = -Infinity;
          context.schedule();
        },
      }, say(kind));
      return button;
    });
    const bar = el("div", { class: "bar" }, star, el("h1", {}, code), this.#name, this.#price, this.#moved,
      el("span", { class: "push" }), el("span", { class: "switch", role: "group", "aria-label": say("detail") }, ...kinds), go);
    this.#place = el("div", { class: "chart", role: "group", "aria-label": `${code} ${say("line")}` });
    const list = el("dl", { class: "figures" });
    for (const key of FIGURES) {
      const value = el("dd");
      this.#figures.set(key, value);
      list.append(el("div", {}, el("dt", {}, say(key)), value));
    }
    const heads = (["time", "price", "volume"] as const).map((key) => el("th", { scope: "col" }, say(key)));
    const ticks = el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": say("last_ticks") },
      el("table", { class: "tape" }, el("thead", {}, el("tr", {}, ...heads)), this.#list));
    this.element = el("section", { class: "view detail", "aria-label": `${say("detail")} ${code}` }, bar,
      el("div", { class: "columns" },
        el("div", { class: "main" }, this.#place, this.#note),
        el("aside", {}, el("h2", {}, say("figures")), list, el("h2", {}, say("last_ticks")), ticks)));
    this.#chart = new Chart(this.#place, context.language === "zh" ? "zh-CN" : "en-GB");
    context.stream.subscribe("detail", { codes: [code], max_hz: 10 });
    void this.#load();
  }

  rows(id: string, rows: Row[], snapshot: boolean): void {
    if (id !== "detail") return;
    const row = rows.at(-1);
    if (row === undefined) return;
    const before = this.#row;
    this.#row = row;
    if (!snapshot || before !== undefined) {
      // A row stands for the ticks since the one before: their volume is the difference.
      const volume = before?.volume == null || row.volume == null || before.session !== row.session ? null : row.volume - before.volume;
      this.#add([{ time: row.time, price: row.price, volume }]);
    } else if (this.#ticks.length === 0) this.#add([{ time: row.time, price: row.price }]);
    this.#changed = true;
  }

  event(event: FeedEvent): void {
    if (event.event === "gap") this.#changed = true;
  }

  paint(_dirty: unknown, now: number): void {
    const row = this.#row ?? this.#context.market.rows.get(this.#code);
    if (row !== undefined) this.#head(row);
    if (now - this.#asked > BARS_MS) void this.#loadBars(now);
    if (this.#changed && now - this.#drawn >= DRAW_MS) {
      this.#drawn = now;
      this.#changed = false;
      this.#draw(row);
    } else if (this.#changed) setTimeout(() => this.#context.schedule(), DRAW_MS);
  }

  key(event: KeyboardEvent): boolean {
    if (event.key === "/") {
      this.element.querySelector<HTMLInputElement>("#search")?.focus();
      return true;
    }
    if (event.key === "w") {
      this.element.querySelector<HTMLButtonElement>(".star")?.click();
      return true;
    }
    return false;
  }

  close(): void {
    this.#closed = true;
    this.#context.stream.unsubscribe("detail");
    this.#chart.remove();
  }

  #go(text: string): void {
    const wanted = text.trim().toUpperCase();
    const { rows } = this.#context.market;
    const found = rows.has(wanted) ? wanted
      : [...rows.values()].find((row) => row.code.includes(wanted) || (row.name ?? "").includes(wanted))?.code;
    if (wanted !== "" && found !== undefined) this.#context.open(found);
    else if (wanted !== "") put(this.#note, this.#context.say("unknown_code"));
  }

  #star(star: HTMLElement, on: boolean): void {
    put(star, on ? "★" : "☆");
    star.setAttribute("aria-pressed", String(on));
  }

  async #load(): Promise<void> {
    const answer = (await this.#context.get(`/v1/ticks/${this.#code}?minutes=30&limit=5000`)) as { ticks?: Tick[] } | null;
    if (this.#closed || answer?.ticks === undefined) return;
    const later = this.#ticks;
    const last = answer.ticks.at(-1)?.time ?? 0;
    this.#ticks = answer.ticks.map(({ time, price, volume }) => ({ time, price, volume }));
    this.#add(later.filter((tick) => tick.time > last));
    this.#chart.refit();
    this.#drawn = -Infinity;
    this.#context.schedule();
  }

  async #loadBars(now: number): Promise<void> {
    this.#asked = now;
    const answer = (await this.#context.get(`/v1/bars/${this.#code}?minutes=1`)) as { bars?: Bar[] } | null;
    if (this.#closed || answer?.bars === undefined) return;
    if (this.#bars.length === 0) this.#chart.refit();
    this.#bars = answer.bars;
    this.#changed = true;
    this.#context.schedule();
  }

  #add(ticks: readonly Seen[]): void {
    this.#ticks.push(...ticks);
    if (this.#ticks.length > KEPT) this.#ticks.splice(0, this.#ticks.length - KEPT);
    this.#changed = true;
  }

  #head(row: Row): void {
    const { say, language } = this.#context;
    const share = change(row);
    const way = tone(share);
    put(this.#name, `${row.name ?? ""} ${say(row.board)}`.trim());
    put(this.#price, format.price(row.price));
    put(this.#moved, `${format.arrow(share)} ${format.signed(row.previous_close == null ? null : row.price - row.previous_close)}  ${format.percent(share)}`);
    this.#price.className = `price ${way}`;
    this.#moved.className = `moved ${way}`;
    const texts: Record<(typeof FIGURES)[number], string> = {
      open: format.price(row.open),
      high: format.price(row.high),
      low: format.price(row.low),
      previous_close: format.price(row.previous_close),
      upper: format.price(row.limit_up),
      lower: format.price(row.limit_down),
      amplitude: format.percent(amplitude(row)).replace("+", ""),
      volume: format.amount(row.volume, language),
      turnover: format.amount(row.turnover, language),
      ticks: format.count(row.ticks),
      doubtful: format.count(row.doubtful ?? 0),
      quality: row.quality ?? format.UNKNOWN,
      received_at: format.clock(row.received / 1000),
      gap: row.gap == null ? say("none")
        : `${format.clock(row.gap.start / 1000)} – ${row.gap.end === null ? "…" : format.clock(row.gap.end / 1000)}${(row.gap.count ?? 1) > 1 ? ` (${row.gap.count})` : ""}`,
    };
    for (const key of FIGURES) {
      const value = this.#figures.get(key);
      if (value !== undefined) put(value, texts[key]);
    }
  }

  #draw(row: Row | undefined): void {
    const { say, settings, events } = this.#context;
    const newest = this.#ticks.at(-1);
    // Gaps are told in local time and ticks in the market's own, which differ where a market of another day is played.
    const shift = row === undefined ? 0 : row.time - row.received / 1000;
    const now = row === undefined ? Date.now() : Math.max(row.received / 1000, Date.now());
    const found = gaps(this.#code, row?.gap, events, now, Math.abs(shift) < 5000 ? 0 : shift);
    const known = candles(this.#bars);
    if (settings.chart === "line") {
      const points = withBars(line(this.#ticks), known);
      const span = points.length > 1 ? (points.at(-1)?.time ?? 0) - (points[0]?.time ?? 0) : 0;
      this.#chart.bands(gapTimes(within(found, points[0]?.time), Math.max(1, Math.ceil(span / 2000))));
      this.#chart.line(points);
    } else {
      const made = ofTicks(this.#ticks, known);
      this.#chart.bands(gapTimes(within(found, made[0]?.time), 60));
      this.#chart.candles(made);
    }
    this.#chart.close(row?.previous_close ?? null, say("previous_close"));
    this.#place.dataset["points"] = String(this.#ticks.length);
    this.#place.dataset["gaps"] = String(found.length);
    const notes = [];
    if (newest === undefined) notes.push(say(row === undefined && this.#context.market.rows.size > 0 ? "unknown_code" : "no_ticks"));
    if (settings.chart === "candles" && known.length === 0 && newest !== undefined) notes.push(say("of_ticks"));
    if (found.length > 0) notes.push(`▒ ${say("gap")}: ${say("gap_here")}`);
    put(this.#note, notes.join("  "));
    this.#list.replaceChildren(...this.#last());
  }

  #last(): HTMLElement[] {
    const shown: HTMLElement[] = [];
    for (let at = this.#ticks.length - 1; at >= 0 && shown.length < SHOWN; at -= 1) {
      const tick = this.#ticks[at];
      if (tick === undefined) break;
      const before = this.#ticks[at - 1];
      const step = before === undefined ? 0 : tick.price - before.price;
      shown.push(el("tr", {},
        el("td", {}, format.clock(tick.time)),
        el("td", { class: tone(step) }, `${step > 0 ? "▲" : step < 0 ? "▼" : " "} ${format.price(tick.price)}`),
        el("td", {}, format.count(tick.volume))));
    }
    return shown;
  }
}

/** The part of the gaps from a time on: a chart does not begin before its first price. */
function within<T extends { start: number; end: number }>(found: readonly T[], first: number | undefined): T[] {
  if (first === undefined) return [];
  return found.filter((gap) => gap.end >= first).map((gap) => ({ ...gap, start: Math.max(gap.start, first) }));
}
