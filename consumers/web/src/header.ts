// What is true of the whole market, above every view, and what is wrong with what is shown.
import { el, put } from "./dom.ts";
import * as format from "./format.ts";
import type { Status } from "./protocol.ts";
import type { Connection } from "./stream.ts";
import type { Key, Say } from "./texts.ts";

/** The gateway says its status once a second: without one for this long, nothing is known of what is shown. */
export const SILENT_MS = 1800;

export class Header {
  readonly element: HTMLElement;
  readonly banner: HTMLElement;
  readonly #say: Say;
  readonly #language: format.Language;
  readonly #session = el("span", { class: "session", id: "session" });
  readonly #figures = new Map<string, HTMLElement>();

  constructor(say: Say, language: format.Language, buttons: HTMLElement) {
    this.#say = say;
    this.#language = language;
    const breadth = (key: "up" | "flat" | "down" | "limit_up" | "limit_down", sign: string, tone: string) => {
      const value = el("b", { id: `breadth-${key}` }, format.UNKNOWN);
      this.#figures.set(key, value);
      return el("span", { class: `count ${tone}` }, `${sign}${say(key)} `, value);
    };
    const figure = (key: Key) => {
      const value = el("dd", { id: `header-${key}` }, format.UNKNOWN);
      this.#figures.set(key, value);
      return el("div", { class: `h-${key}` }, el("dt", {}, say(key)), value);
    };
    this.element = el("header", {},
      el("span", { class: "brand" }, say("title")), this.#session,
      el("span", { class: "breadth" },
        breadth("up", "▲", "up"), breadth("flat", "■", "flat"), breadth("down", "▼", "down"),
        breadth("limit_up", "⤒", "up"), breadth("limit_down", "⤓", "down")),
      el("dl", { class: "status" }, figure("turnover"), figure("rate"), figure("age"), figure("latency")),
      buttons);
    this.banner = el("div", { class: "banner", id: "banner", role: "alert", hidden: true });
  }

  show(status: Status | undefined, connection: Connection, silentFor: number): void {
    if (status !== undefined) {
      put(this.#session, this.#say(status.session.state));
      this.#session.className = `session s-${status.session.state}`;
      const texts: Record<string, string> = {
        up: format.count(status.breadth.up),
        flat: format.count(status.breadth.flat),
        down: format.count(status.breadth.down),
        limit_up: format.count(status.breadth.limit_up),
        limit_down: format.count(status.breadth.limit_down),
        turnover: format.amount(status.turnover, this.#language),
        rate: format.count(status.ticks_per_s),
        age: format.milliseconds(status.feed_age_ms === null ? null : status.feed_age_ms + (silentFor > SILENT_MS ? silentFor : 0)),
        latency: format.milliseconds(status.latency_ms.p99),
      };
      for (const [key, element] of this.#figures) put(element, texts[key] ?? format.UNKNOWN);
    }
    const problem = this.#problem(status, connection, silentFor);
    this.banner.hidden = problem === "";
    put(this.banner, problem);
    document.documentElement.classList.toggle("stale", problem !== "");
  }

  #problem(status: Status | undefined, connection: Connection, silentFor: number): string {
    const say = this.#say;
    if (connection === "lost" || (connection === "connecting" && status !== undefined)) return say("lost");
    if (status === undefined) return "";
    if (silentFor > SILENT_MS) return `${say("stale")}: ${say("silent")}`;
    if (!status.stale) return "";
    return `${say("stale")}: ${status.problems.slice(0, 3).join(" · ")}`;
  }
}
