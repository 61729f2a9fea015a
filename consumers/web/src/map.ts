// The market as tiles on a canvas: area by turnover, colour by change. Only tiles that changed are painted again.
import { el, put, select, variable } from "./dom.ts";
import * as format from "./format.ts";
import { change, type Dirty } from "./market.ts";
import type { Board, Row } from "./protocol.ts";
import { isKey } from "./texts.ts";
import { type Group, HEADER, layout, neighbour, type Tile } from "./tiles.ts";
import type { Context, View } from "./view.ts";

const LAYOUT_MS = 2500;
const CLOSEST = 40;
/** The change at which the colour is full; a limit has a colour of its own. */
const FULL = 0.04;
const STEPS = 24;

export class MapView implements View {
  readonly element: HTMLElement;
  readonly #context: Context;
  readonly #canvas: HTMLCanvasElement;
  readonly #pen: CanvasRenderingContext2D;
  readonly #tip = el("div", { class: "tip", hidden: true });
  readonly #announced = el("p", { class: "unseen", role: "status", "aria-live": "polite" });
  readonly #empty = el("p", { class: "empty", role: "status" });
  readonly #observer: ResizeObserver;
  readonly #palette = palette();
  readonly #held = new Map<number, { x: number; y: number }>();
  #tiles: Tile[] = [];
  #groups: Group[] = [];
  #byCode = new Map<string, Tile>();
  #width = 1;
  #height = 1;
  #ratio = 1;
  #zoom = { k: 1, x: 0, y: 0 };
  #laid = -Infinity;
  #stale = true;
  #whole = true;
  #chosen: Tile | null = null;
  #dragged = 0;

  constructor(context: Context) {
    this.#context = context;
    const { say, settings } = context;
    this.#canvas = el("canvas", {
      tabindex: 0, role: "application", "aria-label": say("map_label"),
      pointermove: (event) => this.#pointed(event as PointerEvent),
      pointerdown: (event) => this.#down(event as PointerEvent),
      pointerup: (event) => this.#upped(event as PointerEvent),
      pointercancel: (event) => this.#held.delete((event as PointerEvent).pointerId),
      pointerleave: () => this.#choose(null),
      dblclick: () => this.#reset(),
      keydown: (event) => this.#pressed(event as KeyboardEvent),
    });
    this.#canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.#zoomAt(event.offsetX, event.offsetY, Math.exp(-event.deltaY * 0.0015));
    }, { passive: false });
    const pen = this.#canvas.getContext("2d", { alpha: false });
    if (pen === null) throw new Error("this browser has no canvas");
    this.#pen = pen;
    const boards = (["MAIN", "STAR", "CHINEXT", "BSE"] as const).map((board) => [board, say(board)] as const);
    const bar = el("div", { class: "bar" },
      select(say("board"), [["", say("all_boards")], ...boards], settings.mapBoard, (board) => {
        settings.mapBoard = board as Board | "";
        this.#again();
      }),
      select(say("group"), [["board", `${say("group")}: ${say("board")}`], ["prefix", `${say("group")}: ${say("prefix")}`]],
        settings.grouping, (grouping) => {
          settings.grouping = grouping as "board" | "prefix";
          this.#again();
        }),
      el("button", { type: "button", "aria-label": say("zoom_in"), click: () => this.#middle(1.5) }, "＋"),
      el("button", { type: "button", "aria-label": say("zoom_out"), click: () => this.#middle(1 / 1.5) }, "－"),
      el("button", { type: "button", click: () => this.#reset() }, say("reset")),
      el("span", { class: "legend" }, this.#legend(), el("span", { class: "wide" }, say("area"))),
    );
    const frame = el("div", { class: "frame" }, this.#canvas, this.#tip, this.#empty);
    this.element = el("section", { class: "view map", "aria-label": say("map") }, bar, frame, this.#announced);
    this.#observer = new ResizeObserver(() => this.#resized(frame));
    this.#observer.observe(frame);
  }

  paint(dirty: Dirty, now: number): void {
    const late = now - this.#laid > LAYOUT_MS && (dirty.all || dirty.codes.size > 0) && this.#held.size === 0;
    if (this.#stale || dirty.all || late) this.#lay(now);
    if (this.#whole) this.#all();
    else {
      this.#clip();
      for (const code of dirty.codes) {
        const tile = this.#byCode.get(code);
        if (tile !== undefined) this.#tile(tile);
      }
      if (this.#chosen !== null && dirty.codes.has(this.#chosen.code)) this.#mark();
      this.#pen.restore();
    }
    if (this.#chosen !== null && dirty.codes.has(this.#chosen.code)) this.#say();
    this.#whole = false;
  }

  close(): void {
    this.#observer.disconnect();
  }

  #again(): void {
    this.#context.save();
    this.#zoom = { k: 1, x: 0, y: 0 };
    this.#stale = true;
    this.#context.schedule();
  }

  #resized(frame: HTMLElement): void {
    this.#width = Math.max(1, frame.clientWidth);
    this.#height = Math.max(1, frame.clientHeight);
    this.#ratio = Math.min(3, window.devicePixelRatio || 1);
    this.#canvas.width = Math.round(this.#width * this.#ratio);
    this.#canvas.height = Math.round(this.#height * this.#ratio);
    this.#stale = true;
    this.#context.schedule();
  }

  #lay(now: number): void {
    const { market, settings, say } = this.#context;
    const found = layout(market.rows.values(), settings.grouping, settings.mapBoard, this.#width, this.#height);
    this.#tiles = found.tiles;
    this.#groups = found.groups;
    this.#byCode = new Map(found.tiles.map((tile) => [tile.code, tile]));
    this.#chosen = this.#chosen === null ? null : this.#byCode.get(this.#chosen.code) ?? null;
    this.#laid = now;
    this.#stale = false;
    this.#whole = true;
    put(this.#empty, found.tiles.length > 0 ? "" : say("no_rows"));
    this.#canvas.dataset["tiles"] = String(found.tiles.length);
  }

  /** Until restore(), paint in pixels of the page inside of the canvas. */
  #clip(): void {
    this.#pen.save();
    this.#pen.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
  }

  #all(): void {
    const pen = this.#pen;
    this.#clip();
    pen.fillStyle = this.#palette.ground;
    pen.fillRect(0, 0, this.#width, this.#height);
    for (const group of this.#groups) this.#heading(group);
    for (const tile of this.#tiles) this.#tile(tile);
    this.#mark();
    pen.restore();
  }

  #heading(group: Group): void {
    const { k, x, y } = this.#zoom;
    const left = group.x * k + x;
    const top = group.y * k + y;
    const width = group.width * k;
    const height = HEADER * k;
    if (width < 30 || left > this.#width || left + width < 0 || top > this.#height || top + height < 0) return;
    const pen = this.#pen;
    pen.save();
    pen.beginPath();
    pen.rect(left, top, width, height);
    pen.clip();
    pen.fillStyle = this.#palette.heading;
    pen.font = `600 12px ${this.#palette.font}`;
    pen.textAlign = "left";
    pen.textBaseline = "middle";
    const name = isKey(group.code) ? this.#context.say(group.code) : group.code;
    pen.fillText(width > 110 ? `${name}  ${format.arrow(group.share)} ${format.percent(group.share)}` : name,
      Math.max(left, 0) + 4, top + height / 2);
    pen.restore();
  }

  #tile(tile: Tile): void {
    const { k, x, y } = this.#zoom;
    const left = tile.x * k + x;
    const top = tile.y * k + y;
    const width = tile.width * k;
    const height = tile.height * k;
    if (left > this.#width || top > this.#height || left + width < 0 || top + height < 0) return;
    const row = this.#context.market.rows.get(tile.code);
    if (row === undefined) return;
    const pen = this.#pen;
    const inset = Math.min(0.5, width / 8);
    pen.fillStyle = this.#colour(row);
    pen.fillRect(left + inset, top + inset, width - 2 * inset, height - 2 * inset);
    if (width < 32 || height < 13) return;
    const share = change(row);
    const size = Math.min(26, Math.floor(Math.min((width - 4) / 4.1, height / 2.6)));
    pen.fillStyle = "#ffffff";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    const name = row.name !== null && row.name !== "" && this.#context.language === "zh" ? row.name : row.code;
    if (size < 9) {
      pen.font = `9px ${this.#palette.font}`;
      pen.fillText(name, left + width / 2, top + height / 2, width - 4);
      return;
    }
    pen.font = `600 ${size}px ${this.#palette.font}`;
    pen.fillText(name, left + width / 2, top + height / 2 - size * 0.5, width - 4);
    pen.font = `${Math.max(9, Math.round(size * 0.72))}px ${this.#palette.font}`;
    pen.fillText(`${format.arrow(share)}${format.percent(share)}`, left + width / 2, top + height / 2 + size * 0.55, width - 4);
  }

  #colour(row: Row): string {
    if (row.limit === "up") return this.#palette.limitUp;
    if (row.limit === "down") return this.#palette.limitDown;
    const share = change(row) ?? 0;
    const step = Math.min(STEPS, Math.round((Math.abs(share) / FULL) * STEPS));
    return (share >= 0 ? this.#palette.up : this.#palette.down)[step] ?? this.#palette.ground;
  }

  #mark(): void {
    const tile = this.#chosen;
    if (tile === null) return;
    const { k, x, y } = this.#zoom;
    this.#pen.strokeStyle = this.#palette.mark;
    this.#pen.lineWidth = 2;
    this.#pen.strokeRect(tile.x * k + x + 1, tile.y * k + y + 1, Math.max(1, tile.width * k - 2), Math.max(1, tile.height * k - 2));
  }

  #choose(tile: Tile | null, aloud = false): void {
    if (tile === this.#chosen) return;
    this.#chosen = tile;
    this.#whole = true;
    this.#context.schedule();
    this.#say();
    const row = tile === null ? undefined : this.#context.market.rows.get(tile.code);
    if (aloud && row !== undefined) put(this.#announced, `${row.code} ${row.name ?? ""} ${format.price(row.price)} ${format.percent(change(row))}`);
  }

  #say(): void {
    const tile = this.#chosen;
    const row = tile === null ? undefined : this.#context.market.rows.get(tile.code);
    this.#tip.hidden = row === undefined;
    if (tile === null || row === undefined) return;
    const { say, language } = this.#context;
    const share = change(row);
    this.#tip.replaceChildren(
      el("strong", {}, `${row.code} ${row.name ?? ""}`),
      el("span", {}, `${format.price(row.price)}  ${format.arrow(share)} ${format.percent(share)}`),
      el("span", {}, `${say("turnover")} ${format.amount(row.turnover, language)}`),
      el("span", {}, `${say("high")} ${format.price(row.high)}  ${say("low")} ${format.price(row.low)}`),
    );
    const { k, x, y } = this.#zoom;
    const wide = this.#tip.offsetWidth;
    const tall = this.#tip.offsetHeight;
    const right = (tile.x + tile.width) * k + x + 8;
    const left = right + wide < this.#width ? right : tile.x * k + x - wide - 8;
    this.#tip.style.left = `${Math.max(4, Math.min(this.#width - wide - 4, left))}px`;
    this.#tip.style.top = `${Math.max(4, Math.min(this.#height - tall - 4, tile.y * k + y))}px`;
  }

  #at(px: number, py: number): Tile | null {
    const x = (px - this.#zoom.x) / this.#zoom.k;
    const y = (py - this.#zoom.y) / this.#zoom.k;
    for (const tile of this.#tiles) {
      if (x >= tile.x && x < tile.x + tile.width && y >= tile.y && y < tile.y + tile.height) return tile;
    }
    return null;
  }

  #down(event: PointerEvent): void {
    this.#canvas.setPointerCapture(event.pointerId);
    this.#held.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    if (this.#held.size === 1) this.#dragged = 0;
  }

  #upped(event: PointerEvent): void {
    this.#held.delete(event.pointerId);
    const tile = this.#at(event.offsetX, event.offsetY);
    if (this.#held.size === 0 && this.#dragged < 5 && tile !== null) this.#context.open(tile.code);
  }

  #pointed(event: PointerEvent): void {
    const before = this.#held.get(event.pointerId);
    if (before === undefined) {
      this.#choose(this.#at(event.offsetX, event.offsetY));
      return;
    }
    const others = [...this.#held].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    const other = others[0];
    if (other !== undefined) {
      const was = Math.hypot(before.x - other.x, before.y - other.y);
      const is = Math.hypot(event.offsetX - other.x, event.offsetY - other.y);
      if (was > 0) this.#zoomAt((event.offsetX + other.x) / 2, (event.offsetY + other.y) / 2, is / was);
      this.#dragged = 100;
    } else if (this.#zoom.k > 1) {
      this.#pan(event.offsetX - before.x, event.offsetY - before.y);
    }
    this.#dragged += Math.abs(event.offsetX - before.x) + Math.abs(event.offsetY - before.y);
    this.#held.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
  }

  #pan(dx: number, dy: number): void {
    const { k } = this.#zoom;
    const bound = (value: number, size: number) => Math.min(0, Math.max(size - size * k, value));
    this.#zoom = { k, x: bound(this.#zoom.x + dx, this.#width), y: bound(this.#zoom.y + dy, this.#height) };
    this.#whole = true;
    this.#say();
    this.#context.schedule();
  }

  #zoomAt(px: number, py: number, factor: number): void {
    const k = Math.min(CLOSEST, Math.max(1, this.#zoom.k * factor));
    const scale = k / this.#zoom.k;
    this.#zoom = { k, x: px - (px - this.#zoom.x) * scale, y: py - (py - this.#zoom.y) * scale };
    this.#pan(0, 0);
  }

  #middle(factor: number): void {
    this.#zoomAt(this.#width / 2, this.#height / 2, factor);
  }

  #reset(): void {
    this.#zoom = { k: 1, x: 0, y: 0 };
    this.#pan(0, 0);
  }

  #pressed(event: KeyboardEvent): void {
    const ways: Record<string, [number, number]> = {
      ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1],
    };
    const way = ways[event.key];
    if (way !== undefined) {
      const next = this.#chosen === null ? this.#tiles[0] ?? null : neighbour(this.#tiles, this.#chosen, ...way);
      this.#choose(next, true);
    } else if (event.key === "Enter" && this.#chosen !== null) this.#context.open(this.#chosen.code);
    else if (event.key === "+" || event.key === "=") this.#middle(1.5);
    else if (event.key === "-") this.#middle(1 / 1.5);
    else if (event.key === "0") this.#reset();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #legend(): HTMLElement {
    const steps = [-FULL, -FULL / 2, 0, FULL / 2, FULL];
    return el("span", { class: "steps" }, ...steps.map((share) => {
      const colours = share >= 0 ? this.#palette.up : this.#palette.down;
      const chip = el("span", { class: "step" }, `${share > 0 ? "+" : share < 0 ? "−" : ""}${Math.abs(share * 100)}%`);
      chip.style.background = colours[Math.round((Math.abs(share) / FULL) * STEPS)] ?? "";
      return chip;
    }));
  }
}

interface Palette {
  up: string[];
  down: string[];
  limitUp: string;
  limitDown: string;
  ground: string;
  heading: string;
  mark: string;
  font: string;
}

function palette(): Palette {
  const neutral = rgb(variable("--tile"));
  const scale = (name: string) =>
    Array.from({ length: STEPS + 1 }, (_, step) => mixed(neutral, rgb(variable(name)), step / STEPS));
  return {
    up: scale("--tile-up"),
    down: scale("--tile-down"),
    limitUp: variable("--limit-up"),
    limitDown: variable("--limit-down"),
    ground: variable("--ground"),
    heading: variable("--text"),
    mark: variable("--text"),
    font: getComputedStyle(document.body).fontFamily,
  };
}

function rgb(hex: string): [number, number, number] {
  const value = Number.parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

function mixed(from: readonly number[], to: readonly number[], share: number): string {
  return `rgb(${from.map((value, index) => Math.round(value + ((to[index] ?? 0) - value) * share)).join(",")})`;
}
