// Price moves as a tape. The threshold is part of the subscription: the gateway sends what is larger, and nothing else.
import { el, put, select, tone } from "./dom.ts";
import * as format from "./format.ts";
import { change } from "./market.ts";
import type { Board, Row, Subscription } from "./protocol.ts";
import type { Context, View } from "./view.ts";

const KEPT = 200;
const SETTLE_MS = 150;
const HIGHEST_BP = 200;
const SPAN_MS = 5000;

interface Move {
  row: Row;
  before: number | null;
}

export class MoversView implements View {
  readonly element: HTMLElement;
  readonly #context: Context;
  readonly #list = el("tbody");
  readonly #empty: HTMLElement;
  readonly #rate = el("output", { id: "movers-rate", "aria-live": "off" });
  readonly #shown: HTMLOutputElement;
  readonly #sent = new Map<string, number>();
  #fresh: Move[] = [];
  #board: Board | "" = "";
  #timer: ReturnType<typeof setTimeout> | undefined;
  #frames: { at: number; rows: number }[] = [];

  constructor(context: Context) {
    this.#context = context;
    const { say, settings } = context;
    this.#shown = el("output", { id: "threshold-shown", for: "threshold", class: "figure" });
    const slider = el("input", {
      type: "range", id: "threshold", min: 0, max: HIGHEST_BP, step: 1, "aria-describedby": "threshold-why",
      input: () => {
        settings.threshold = Number(slider.value);
        this.#show();
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#subscribe(), SETTLE_MS);
      },
    });
    slider.value = String(settings.threshold);
    const boards = (["MAIN", "STAR", "CHINEXT", "BSE"] as const).map((board) => [board, say(board)] as const);
    const bar = el("div", { class: "bar" },
      el("label", { for: "threshold" }, say("threshold")), slider, this.#shown,
      select(say("board"), [["", say("all_boards")], ...boards], "", (board) => {
        this.#board = board as Board | "";
        this.#subscribe();
      }),
      this.#rate,
      el("span", { id: "threshold-why", class: "note wide" }, say("threshold_why")),
    );
    this.#empty = el("p", { class: "empty", role: "status" }, say("quiet"));
    const heads = (["time", "code", "name", "move", "from", "to", "percent"] as const).map((key) =>
      el("th", { scope: "col", class: `m-${key}` }, say(key)));
    const tape = el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": say("movers") },
      el("table", { class: "tape" }, el("thead", {}, el("tr", {}, ...heads)), this.#list), this.#empty);
    this.element = el("section", { class: "view movers", "aria-label": say("movers") }, bar, tape);
    this.#show();
    this.#subscribe();
  }

  rows(id: string, rows: Row[], snapshot: boolean): void {
    if (id !== "movers" || snapshot) return;
    this.#frames.push({ at: performance.now(), rows: rows.length });
    if (this.#frames.length > 1000) this.#frames.shift();
    for (const row of rows) {
      const before = this.#sent.get(row.code) ?? row.previous_close ?? null;
      this.#sent.set(row.code, row.price);
      this.#fresh.push({ row, before });
    }
    if (this.#fresh.length > KEPT) this.#fresh = this.#fresh.slice(-KEPT);
  }

  paint(): void {
    if (this.#fresh.length === 0) return;
    const fresh = this.#fresh.reverse().map((move) => this.#line(move));
    this.#fresh = [];
    this.#list.prepend(...fresh);
    while (this.#list.rows.length > KEPT) this.#list.deleteRow(-1);
    this.#empty.hidden = true;
  }

  status(): void {
    const now = performance.now();
    this.#frames = this.#frames.filter((frame) => now - frame.at < SPAN_MS);
    const rows = this.#frames.reduce((sum, frame) => sum + frame.rows, 0);
    const seconds = SPAN_MS / 1000;
    const { say } = this.#context;
    put(this.#rate, `${say("received")} ${(rows / seconds).toFixed(1)} ${say("rows_per_s")} · ${(this.#frames.length / seconds).toFixed(1)} ${say("frames_per_s")}`);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#context.stream.unsubscribe("movers");
  }

  #show(): void {
    const bp = this.#context.settings.threshold;
    put(this.#shown, `${(bp / 100).toFixed(2)}%`);
  }

  #subscribe(): void {
    this.#context.save();
    // What each stock was last sent begins with what the page has now.
    for (const row of this.#context.market.rows.values()) this.#sent.set(row.code, row.price);
    const wanted: Subscription = {
      codes: "*",
      threshold: { bp: this.#context.settings.threshold },
      max_hz: 4,
      fields: ["code", "name", "board", "price", "previous_close", "time"],
      trailing: false,
      snapshot: false,
    };
    if (this.#board !== "") wanted.boards = [this.#board];
    this.#context.stream.subscribe("movers", wanted);
  }

  #line({ row, before }: Move): HTMLTableRowElement {
    const moved = before === null || before === 0 ? null : row.price / before - 1;
    const share = change(row);
    const way = tone(moved);
    return el("tr", { class: way, click: () => this.#context.open(row.code) },
      el("td", { class: "m-time" }, format.clock(row.time)),
      el("td", { class: "m-code" }, el("a", { href: `#/detail/${row.code}` }, row.code)),
      el("td", { class: "m-name" }, row.name ?? ""),
      el("td", { class: `m-move ${way}` }, `${format.arrow(moved)} ${format.percent(moved)}`),
      el("td", { class: "m-from" }, format.price(before)),
      el("td", { class: `m-to ${way}` }, format.price(row.price)),
      el("td", { class: `m-percent ${tone(share)}` }, `${format.arrow(share)} ${format.percent(share)}`),
    );
  }
}
