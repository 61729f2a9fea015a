// What a reader of the page has chosen, kept in this browser.
import type { Language } from "./format.ts";
import type { Board } from "./protocol.ts";

export interface Settings {
  language: Language;
  theme: "dark" | "light";
  /** cn: red is up and green is down; west: the other way. */
  colours: "cn" | "west";
  watchlist: string[];
  threshold: number;
  grouping: "board" | "prefix";
  mapBoard: Board | "";
  chart: "line" | "candles";
}

const KEY = "ashare-page";

export function load(storage: Storage, language: string, dark: boolean): Settings {
  const settings: Settings = {
    language: language.toLowerCase().startsWith("zh") ? "zh" : "en",
    theme: dark ? "dark" : "light",
    colours: "cn",
    watchlist: [],
    threshold: 10,
    grouping: "board",
    mapBoard: "",
    chart: "line",
  };
  try {
    return { ...settings, ...(JSON.parse(storage.getItem(KEY) ?? "{}") as Partial<Settings>) };
  } catch {
    return settings;
  }
}

export function save(storage: Storage, settings: Settings): void {
  try {
    storage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // A private window may keep nothing: the page works without.
  }
}
