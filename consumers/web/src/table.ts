// The table of all stocks: as many rows in the document as are to be seen, whatever the market has.
import { choose, type Column, type Filter, readWatchlist } from "./choice.ts";
import { el, put, select, tone } from "./dom.ts";
import * as format from "./format.ts";
import { amplitude, change, type Dirty } from "./market.ts";
import type { Board, Row } from "./protocol.ts";
import { type Context, toggleWatched, type View } from "./view.ts";

const HEIGHT = 28;
const SPARE = 4;
const RESORT_MS = 1000;
/** No cell flashes more often than three times a second. */
const FLASH_MS = 340;
const COLUMNS: readonly Column[] = [
  "code", "name", "price", "percent", "change", "volume", "turnover", "open", "high", "low", "previous_close",
  "amplitude", "board", "ticks", "time",
];
const DESCENDING_FIRST = new Set<Column>(["percent", "change", "volume", "turnover", "amplitude", "ticks", "price", "time"]);

interface Line {
  element: HTMLElement;
  star: HTMLElement;
  cells: Map<Column, HTMLElement>;
  code: string;
  flashed: number;
}

export class TableView implements View {
  readonly element: HTMLElement;
  readonly #context: Context;
  readonly #body: HTMLElement;
  readonly #spacer: HTMLElement;
  readonly #empty = el("p", { class: "empty", role: "status" });
  readonly #counted = el("output", { class: "counted", "aria-live": "off" });
  readonly #search: HTMLInputElement;
  readonly #heads = new Map<Column, HTMLElement>();
  readonly #lines: Line[] = [];
  readonly #grid: HTMLElement;
  readonly #observer: ResizeObserver;
  #filter: Filter = { text: "", board: "", limit: "", only: null };
  #column: Column = "turnover";
  #descending = true;
  #codes: string[] = [];
  #chosen = -1;
  #sorted = 0;
  #generation = -1;
  #moved = true;

  constructor(context: Context) {
    this.#context = context;
    const { say } = context;
    this.#search = el("input", {
      type: "search", id: "search", placeholder: `${say("search")}  /`, "aria-label": say("search"), autocomplete: "off",
      spellcheck: "false", maxlength: 32,
      input: () => this.#refilter({ text: this.#search.value }),
      keydown: (event) => {
        if ((event as KeyboardEvent).key === "Enter" && this.#codes[0]) context.open(this.#codes[0]);
        if ((event as KeyboardEvent).key === "ArrowDown") this.#body.focus();
      },
    });
    const boards = (["MAIN", "STAR", "CHINEXT", "BSE"] as const).map((board) => [board, say(board)] as const);
    const file = el("input", {
      type: "file", accept: ".json,.txt,.csv", hidden: true, "aria-label": say("import"), id: "import-file",
      change: () => void this.#import(file),
    });
    const watch = el("button", {
      type: "button", id: "watched", "aria-pressed": "false",
      click: () => {
        const on = watch.getAttribute("aria-pressed") !== "true";
        watch.setAttribute("aria-pressed", String(on));
        this.#refilter({ only: on ? new Set(context.settings.watchlist) : null });
      },
    }, `★ ${say("watchlist")}`);
    const bar = el("div", { class: "bar" },
      this.#search,
      select(say("board"), [["", say("all_boards")], ...boards], "", (board) => this.#refilter({ board: board as Board | "" })),
      select(say("limits"),
        [["", say("limits")], ["any", say("at_limit")], ["up", say("at_up")], ["down", say("at_down")]], "",
        (limit) => this.#refilter({ limit: limit as Filter["limit"] })),
      watch,
      el("button", { type: "button", id: "export", click: () => this.#export() }, say("export")),
      el("button", { type: "button", click: () => file.click() }, say("import")),
      file,
      this.#counted,
    );
    const head = el("div", { class: "line head", role: "row" }, el("span", { class: "cell c-star", role: "columnheader" }, el("span", { class: "unseen" }, say("watchlist"))));
    for (const column of COLUMNS) {
      const cell = el("span", { class: `cell c-${column}`, role: "columnheader", "aria-sort": "none" },
        el("button", { type: "button", click: () => this.#sortBy(column) }, say(column)));
      this.#heads.set(column, cell);
      head.append(cell);
    }
    this.#spacer = el("div", { class: "spacer", role: "presentation" });
    this.#body = el("div", {
      class: "body", role: "rowgroup", tabindex: 0, "aria-label": say("table"),
      scroll: () => this.#move(),
      keydown: (event) => this.#pressed(event as KeyboardEvent),
    }, this.#spacer);
    this.#grid = el("div", { class: "grid", role: "grid", "aria-label": say("table"), "aria-colcount": COLUMNS.length + 1 },
      el("div", { role: "rowgroup" }, head), this.#body);
    this.element = el("section", { class: "view table", "aria-label": say("table") }, bar, this.#grid, this.#empty);
    this.#observer = new ResizeObserver(() => this.#move());
    this.#observer.observe(this.#body);
  }

  paint(dirty: Dirty, now: number): void {
    const { market } = this.#context;
    const late = now - this.#sorted > RESORT_MS && (dirty.all || dirty.codes.size > 0);
    if (late || this.#generation !== market.generation) {
      this.#generation = market.generation;
      this.#choose(now);
    }
    if (this.#moved) this.#place();
    for (const line of this.#lines) {
      if (line.code !== "" && (this.#moved || dirty.all || dirty.codes.has(line.code))) this.#fill(line, now, !this.#moved);
    }
    this.#moved = false;
  }

  key(event: KeyboardEvent): boolean {
    if (event.key === "/") {
      this.#search.focus();
      this.#search.select();
      return true;
    }
    return false;
  }

  close(): void {
    this.#observer.disconnect();
  }

  #move(): void {
    this.#moved = true;
    this.#context.schedule();
  }

  #refilter(part: Partial<Filter>): void {
    this.#filter = { ...this.#filter, ...part };
    this.#body.scrollTop = 0;
    this.#chosen = -1;
    this.#choose(performance.now());
    this.#move();
  }

  #sortBy(column: Column): void {
    this.#descending = this.#column === column ? !this.#descending : DESCENDING_FIRST.has(column);
    this.#column = column;
    this.#refilter({});
  }

  #choose(now: number): void {
    const { market, say } = this.#context;
    const chosen = this.#codes[this.#chosen];
    this.#codes = choose(market.rows.values(), this.#filter, this.#column, this.#descending);
    this.#chosen = chosen === undefined ? -1 : this.#codes.indexOf(chosen);
    this.#sorted = now;
    this.#spacer.style.height = `${this.#codes.length * HEIGHT}px`;
    this.#grid.setAttribute("aria-rowcount", String(this.#codes.length + 1));
    put(this.#counted, `${format.count(this.#codes.length)} ${say("shown")}`);
    put(this.#empty, this.#codes.length > 0 ? "" : market.rows.size > 0 ? say("nothing") : say("no_rows"));
    for (const [column, head] of this.#heads) {
      head.setAttribute("aria-sort", column !== this.#column ? "none" : this.#descending ? "descending" : "ascending");
    }
    this.#moved = true;
  }

  /** Give each row of the document its place: row n of the pool takes index n modulo the pool's size. */
  #place(): void {
    const first = Math.max(0, Math.floor(this.#body.scrollTop / HEIGHT) - SPARE);
    const many = Math.min(Math.ceil(this.#body.clientHeight / HEIGHT) + 2 * SPARE, this.#codes.length - first);
    while (this.#lines.length < many) this.#lines.push(this.#line());
    const last = first + many;
    const pool = this.#lines.length;
    this.#lines.forEach((line, place) => {
      const index = first + ((place - (first % pool) + pool) % pool);
      const code = index < last ? this.#codes[index] : undefined;
      line.element.hidden = code === undefined;
      if (line.code !== (code ?? "")) line.flashed = performance.now();
      line.code = code ?? "";
      line.element.style.transform = `translateY(${index * HEIGHT}px)`;
      line.element.setAttribute("aria-rowindex", String(index + 2));
      line.element.setAttribute("aria-selected", String(index === this.#chosen));
      line.element.id = code === undefined ? "" : `row-${code}`;
    });
    const chosen = this.#codes[this.#chosen];
    if (chosen === undefined) this.#body.removeAttribute("aria-activedescendant");
    else this.#body.setAttribute("aria-activedescendant", `row-${chosen}`);
  }

  #line(): Line {
    const star = el("button", { type: "button", class: "star", tabindex: -1 }, "☆");
    const cells = new Map<Column, HTMLElement>();
    const element = el("div", { class: "line", role: "row" }, el("span", { class: "cell c-star", role: "gridcell" }, star));
    for (const column of COLUMNS) {
      const cell = el("span", { class: `cell c-${column}`, role: "gridcell" });
      cells.set(column, cell);
      element.append(cell);
    }
    const line: Line = { element, star, cells, code: "", flashed: 0 };
    star.addEventListener("click", (event) => {
      event.stopPropagation();
      this.#watch(line.code);
    });
    element.addEventListener("click", () => this.#context.open(line.code));
    this.#spacer.append(element);
    return line;
  }

  #fill(line: Line, now: number, flash: boolean): void {
    const { market, language, settings, say } = this.#context;
    const row = market.rows.get(line.code);
    if (row === undefined) return;
    const share = change(row);
    const colour = tone(share);
    const watched = settings.watchlist.includes(row.code);
    if (put(line.star, watched ? "★" : "☆")) line.star.setAttribute("aria-pressed", String(watched));
    line.star.setAttribute("aria-label", `${say("watch")} ${row.code}`);
    for (const [column, cell] of line.cells) {
      const changed = put(cell, text(column, row, share, language, say));
      if (column === "price" || column === "percent" || column === "change") {
        const wanted = `cell c-${column} ${colour}`;
        if (!cell.className.startsWith(wanted) || cell.className.length > wanted.length + 9) cell.className = wanted;
        if (column === "price" && changed && flash && now - line.flashed > FLASH_MS && !this.#context.reducedMotion) {
          line.flashed = now;
          this.#flash(cell, market.moves.get(row.code) ?? 0);
        }
      }
    }
    line.element.classList.toggle("at-up", row.limit === "up");
    line.element.classList.toggle("at-down", row.limit === "down");
    line.element.classList.toggle("gap", row.gap != null);
  }

  #flash(cell: HTMLElement, way: number): void {
    const colour = way >= 0 ? "var(--up-soft)" : "var(--down-soft)";
    cell.animate([{ backgroundColor: colour }, { backgroundColor: "transparent" }], { duration: 320 });
  }

  #watch(code: string): void {
    toggleWatched(this.#context, code);
    if (this.#filter.only !== null) this.#refilter({ only: new Set(this.#context.settings.watchlist) });
    this.#move();
  }

  #pressed(event: KeyboardEvent): void {
    const page = Math.max(1, Math.floor(this.#body.clientHeight / HEIGHT) - 1);
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -1e9, End: 1e9 };
    const step = steps[event.key];
    const code = this.#codes[this.#chosen];
    if (step !== undefined) {
      this.#chosen = Math.min(this.#codes.length - 1, Math.max(0, this.#chosen + step));
      const top = this.#chosen * HEIGHT;
      if (top < this.#body.scrollTop) this.#body.scrollTop = top;
      else if (top + HEIGHT > this.#body.scrollTop + this.#body.clientHeight) {
        this.#body.scrollTop = top + HEIGHT - this.#body.clientHeight;
      }
      this.#move();
    } else if (event.key === "Enter" && code !== undefined) this.#context.open(code);
    else if (event.key === "w" && code !== undefined) this.#watch(code);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #export(): void {
    const text = JSON.stringify({ codes: this.#context.settings.watchlist }, null, 2);
    const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    el("a", { href: address, download: "ashare-watchlist.json" }).click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  }

  async #import(input: HTMLInputElement): Promise<void> {
    const file = input.files?.[0];
    if (file === undefined || file.size > 1 << 20) return;
    const list = this.#context.settings.watchlist;
    const read = readWatchlist(await file.text()).filter((code) => !list.includes(code));
    list.push(...read);
    input.value = "";
    this.#context.save();
    if (this.#filter.only !== null) this.#refilter({ only: new Set(list) });
    this.#move();
  }
}

function text(column: Column, row: Row, share: number | null, language: format.Language, say: Context["say"]): string {
  switch (column) {
    case "code": return row.code;
    case "name": return row.name ?? "";
    case "price": return format.price(row.price);
    case "percent": return `${format.arrow(share)} ${format.percent(share)}`;
    case "change": return format.signed(row.previous_close == null ? null : row.price - row.previous_close);
    case "volume": return format.amount(row.volume, language);
    case "turnover": return format.amount(row.turnover, language);
    case "open": return format.price(row.open);
    case "high": return format.price(row.high);
    case "low": return format.price(row.low);
    case "previous_close": return format.price(row.previous_close);
    case "amplitude": return format.percent(amplitude(row)).replace("+", "");
    case "board": return say(row.board);
    case "ticks": return format.count(row.ticks);
    case "time": return format.clock(row.time);
  }
}
