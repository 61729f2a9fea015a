// The page: one stream, one frame loop, one view at a time, by the address's hash.
import { DetailView } from "./detail.ts";
import { el } from "./dom.ts";
import { Header } from "./header.ts";
import { Market } from "./market.ts";
import { MapView } from "./map.ts";
import { MoversView } from "./movers.ts";
import { PipelineView } from "./pipeline.ts";
import type { Message, Status } from "./protocol.ts";
import type { FeedEvent } from "./records.ts";
import { load, save, type Settings } from "./settings.ts";
import { type Connection, type Socket, Stream } from "./stream.ts";
import { TableView } from "./table.ts";
import { type Say, texts } from "./texts.ts";
import type { Context, Sample, View } from "./view.ts";

const VIEWS = ["map", "table", "movers", "detail", "pipeline"] as const;
type ViewName = (typeof VIEWS)[number];

const HISTORY = 300;
const EVENTS = 500;
const LOOK_MS = 500;
const TOKEN = "ashare-token";
const FIELDS = [
  "code", "name", "board", "price", "previous_close", "open", "high", "low", "volume", "turnover", "time", "received", "ticks",
  "limit_up", "limit_down", "limit", "gap", "session",
];

class Page implements Context {
  readonly market = new Market();
  readonly settings: Settings;
  readonly stream: Stream;
  readonly history: Sample[] = [];
  readonly events: FeedEvent[] = [];
  say: Say;
  #header!: Header;
  #view!: View;
  #main!: HTMLElement;
  #status: Status | undefined;
  #heard = performance.now();
  #connection: Connection = "connecting";
  #scheduled = false;
  #frames = 0;
  #rows = 0;
  #code = "";

  constructor() {
    this.settings = load(localStorage, navigator.language, !matchMedia("(prefers-color-scheme: light)").matches);
    this.say = texts(this.settings.language);
    this.stream = new Stream({
      open: () => new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/stream`) as unknown as Socket,
      message: (message) => this.#take(message),
      state: (state) => this.#connected(state),
      token: () => sessionStorage.getItem(TOKEN),
      later: (run, ms) => setTimeout(run, ms),
      cancel: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
    });
    this.stream.subscribe("main", { codes: "*", max_hz: 4, fields: FIELDS });
    this.build();
    addEventListener("hashchange", () => this.#route(true));
    addEventListener("keydown", (event) => this.#key(event));
    setInterval(() => this.#look(), LOOK_MS);
    this.stream.connect();
  }

  get language(): Settings["language"] {
    return this.settings.language;
  }

  get reducedMotion(): boolean {
    return matchMedia("(prefers-reduced-motion: reduce)").matches;
  }

  save(): void {
    save(localStorage, this.settings);
  }

  schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame((now) => this.#frame(now));
  }

  open(code: string): void {
    location.hash = `#/detail/${code}`;
  }

  async get(path: string): Promise<unknown> {
    const token = sessionStorage.getItem(TOKEN);
    try {
      const answer = await fetch(path, { headers: token === null ? {} : { Authorization: `Bearer ${token}` } });
      return answer.ok ? ((await answer.json()) as unknown) : null;
    } catch {
      return null;
    }
  }

  /** Everything that depends on language and colours is made anew when they change. */
  build(): void {
    const { settings } = this;
    this.say = texts(settings.language);
    const root = document.documentElement;
    root.lang = settings.language === "zh" ? "zh-CN" : "en";
    root.dataset["theme"] = settings.theme;
    root.dataset["colours"] = settings.colours;
    document.title = this.say("title");
    const button = (id: string, text: string, label: string, click: () => void) =>
      el("button", { type: "button", id, "aria-label": label, title: label, click }, text);
    const buttons = el("span", { class: "buttons", role: "group", "aria-label": this.say("settings") },
      button("set-language", this.say("language"), this.say("language_name"), () => this.#set({ language: settings.language === "zh" ? "en" : "zh" })),
      button("set-theme", settings.theme === "dark" ? "☀" : "☾", this.say("theme"), () => this.#set({ theme: settings.theme === "dark" ? "light" : "dark" })),
      button("set-colours", "⇅", this.say("colours"), () => this.#set({ colours: settings.colours === "cn" ? "west" : "cn" })),
      button("keys", "?", this.say("help"), () => this.#help()));
    this.#header = new Header(this.say, settings.language, buttons);
    const nav = el("nav", { "aria-label": this.say("views") }, ...VIEWS.map((name, index) =>
      el("a", { href: name === "detail" && this.#code !== "" ? `#/detail/${this.#code}` : `#/${name}`, "data-view": name, accesskey: index + 1 }, this.say(name))));
    this.#main = el("main", { id: "view", tabindex: -1 });
    const skip = el("a", { class: "skip", href: "#view", click: (event) => {
      event.preventDefault();
      this.#main.focus();
    } }, this.say("skip"));
    const app = document.getElementById("app");
    app?.replaceChildren(skip, this.#header.element, this.#header.banner, nav, this.#main);
    this.#route(false);
    this.#look();
  }

  #set(part: Partial<Settings>): void {
    const focused = document.activeElement?.id;
    Object.assign(this.settings, part);
    this.save();
    this.build();
    if (focused) document.getElementById(focused)?.focus();
  }

  #route(focus: boolean): void {
    const [, word = "", code = ""] = location.hash.split("/");
    const name: ViewName = VIEWS.find((view) => view === word) ?? "map";
    this.#view?.close();
    if (name === "detail") this.#code = decodeURIComponent(code) || this.#code || this.#largest();
    this.#view = name === "table" ? new TableView(this)
      : name === "movers" ? new MoversView(this)
      : name === "detail" && this.#code !== "" ? new DetailView(this, this.#code)
      : name === "pipeline" ? new PipelineView(this)
      : new MapView(this);
    this.#main.replaceChildren(this.#view.element);
    for (const link of document.querySelectorAll<HTMLAnchorElement>("nav a")) {
      if (link.dataset["view"] === name) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
      if (link.dataset["view"] === "detail" && this.#code !== "") link.href = `#/detail/${this.#code}`;
    }
    if (focus) this.#main.focus({ preventScroll: true });
    this.schedule();
  }

  /** The stock with the largest turnover, when none is asked for. */
  #largest(): string {
    let best = "";
    let most = -1;
    for (const row of this.market.rows.values()) {
      if ((row.turnover ?? 0) > most) {
        most = row.turnover ?? 0;
        best = row.code;
      }
    }
    return best;
  }

  #take(message: Message): void {
    switch (message.type) {
      case "snapshot":
      case "delta":
        this.#rows += message.rows.length;
        if (message.id !== "main") this.#view.rows?.(message.id, message.rows, message.type === "snapshot");
        else if (message.type === "snapshot") this.#renew(message.rows);
        else {
          this.market.merge(message.rows);
          this.#lookFor();
        }
        break;
      case "status":
        this.#status = message;
        this.#heard = performance.now();
        this.history.push({ status: message, frames: this.#frames, rows: this.#rows });
        if (this.history.length > HISTORY) this.history.shift();
        this.#frames = 0;
        this.#rows = 0;
        this.#view.status?.();
        this.#look();
        break;
      case "event":
        this.#happened([message.event]);
        this.#view.event?.(message.event);
        break;
      default:
        return;
    }
    this.schedule();
  }

  #renew(rows: Parameters<Market["replace"]>[0]): void {
    this.market.replace(rows);
    this.#lookFor();
  }

  /** A detail view that was asked for without a code, before there was one. */
  #lookFor(): void {
    if (this.#code === "" && this.market.rows.size > 0 && location.hash.startsWith("#/detail")) this.#route(false);
  }

  #happened(events: readonly FeedEvent[]): void {
    const known = new Set(this.events.map((event) => event.id));
    this.events.push(...events.filter((event) => event.id == null || !known.has(event.id)));
    this.events.sort((a, b) => a.at - b.at);
    if (this.events.length > EVENTS) this.events.splice(0, this.events.length - EVENTS);
  }

  #connected(state: Connection): void {
    this.#connection = state;
    if (state === "open") {
      this.#heard = performance.now();
      void this.get("/v1/events?limit=200").then((answer) => {
        this.#happened((answer as { events?: FeedEvent[] } | null)?.events ?? []);
        this.#view.status?.();
        this.schedule();
      });
    }
    if (state === "refused") this.#ask();
    this.#look();
  }

  #look(): void {
    document.documentElement.dataset["connection"] = this.#connection;
    this.#header?.show(this.#status, this.#connection, performance.now() - this.#heard);
  }

  #frame(now: number): void {
    this.#scheduled = false;
    this.#frames += 1;
    this.#view.paint(this.market.take(), now);
  }

  #key(event: KeyboardEvent): void {
    const target = event.target as HTMLElement | null;
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (target !== null && (target.tagName === "SELECT" || (target.tagName === "INPUT" && (target as HTMLInputElement).type !== "range"))) {
      if (event.key === "Escape") target.blur();
      return;
    }
    const view = VIEWS[Number(event.key) - 1];
    if (view !== undefined) location.hash = view === "detail" && this.#code !== "" ? `#/detail/${this.#code}` : `#/${view}`;
    else if (event.key === "t") this.#set({ theme: this.settings.theme === "dark" ? "light" : "dark" });
    else if (event.key === "l") this.#set({ language: this.settings.language === "zh" ? "en" : "zh" });
    else if (event.key === "c") this.#set({ colours: this.settings.colours === "cn" ? "west" : "cn" });
    else if (event.key === "?") this.#help();
    else if (this.#view.key?.(event) !== true) return;
    event.preventDefault();
  }

  #help(): void {
    const { say } = this;
    const keys: [string, string][] = [
      ["1 – 5", say("keys_views")], ["/", say("keys_search")], ["↑ ↓ ← →", say("keys_choose")], ["Enter", say("keys_open")],
      ["w", say("keys_watch")], ["+ − 0", say("keys_zoom")], ["t l c", say("keys_settings")],
    ];
    const list = el("dl", { class: "keys" }, ...keys.map(([key, what]) => el("div", {}, el("dt", {}, el("kbd", {}, key)), el("dd", {}, what))));
    const dialog = el("dialog", { "aria-label": say("help"), close: () => dialog.remove() }, el("h2", {}, say("help")), list,
      el("button", { type: "button", click: () => dialog.close() }, say("close")));
    document.body.append(dialog);
    dialog.showModal();
  }

  #ask(): void {
    const { say } = this;
    const input = el("input", { type: "password", autocomplete: "off", required: true, id: "token" });
    const dialog = el("dialog", { "aria-label": say("token") },
      el("form", { method: "dialog", submit: () => {
        sessionStorage.setItem(TOKEN, input.value.trim());
        dialog.remove();
        this.stream.connect();
      } }, el("p", {}, say("refused")), el("label", { for: "token" }, say("token")), input, el("button", {}, say("enter"))));
    document.body.append(dialog);
    dialog.showModal();
  }
}

new Page();
