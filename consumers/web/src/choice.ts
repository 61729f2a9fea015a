// Which rows a table shows, in which order. Pure.
import { amplitude, change } from "./market.ts";
import type { Board, Row } from "./protocol.ts";

export interface Filter {
  /** Part of a code or of a name. */
  text: string;
  board: Board | "";
  limit: "up" | "down" | "any" | "";
  /** Only these; null: all. */
  only: ReadonlySet<string> | null;
}

export type Column =
  | "code" | "name" | "price" | "change" | "percent" | "volume" | "turnover" | "open" | "high" | "low"
  | "previous_close" | "amplitude" | "time" | "board" | "ticks";

const VALUES: Record<Column, (row: Row) => number | string | null> = {
  code: (row) => row.code,
  name: (row) => row.name,
  price: (row) => row.price,
  change: (row) => (row.previous_close == null ? null : row.price - row.previous_close),
  percent: change,
  volume: (row) => row.volume ?? null,
  turnover: (row) => row.turnover ?? null,
  open: (row) => row.open,
  high: (row) => row.high,
  low: (row) => row.low,
  previous_close: (row) => row.previous_close ?? null,
  amplitude,
  time: (row) => row.time,
  board: (row) => row.board,
  ticks: (row) => row.ticks,
};

export function matches(row: Row, filter: Filter): boolean {
  if (filter.only !== null && !filter.only.has(row.code)) return false;
  if (filter.board !== "" && row.board !== filter.board) return false;
  if (filter.limit === "any" ? row.limit === null : filter.limit !== "" && row.limit !== filter.limit) return false;
  const text = filter.text.trim().toLowerCase();
  return text === "" || row.code.toLowerCase().includes(text) || (row.name ?? "").toLowerCase().includes(text);
}

/** The codes to show, in order. What is not known comes last either way; equals are in order of code. */
export function choose(rows: Iterable<Row>, filter: Filter, column: Column, descending: boolean): string[] {
  const value = VALUES[column];
  const found: [number | string | null, string][] = [];
  for (const row of rows) if (matches(row, filter)) found.push([value(row), row.code]);
  const way = descending ? -1 : 1;
  found.sort(([a, first], [b, second]) => {
    if (a !== b) {
      if (a === null) return 1;
      if (b === null) return -1;
      return a < b ? -way : way;
    }
    return first < second ? -1 : first > second ? 1 : 0;
  });
  return found.map(([, code]) => code);
}

/** Codes of a watchlist file: JSON as it is exported, or text with any separators. */
export function readWatchlist(text: string): string[] {
  try {
    const read: unknown = JSON.parse(text);
    const list = Array.isArray(read) ? read : (read as { codes?: unknown } | null)?.codes;
    if (Array.isArray(list)) return unique(list.filter((code): code is string => typeof code === "string"));
  } catch {
    // Not JSON: a list as people write it.
  }
  return unique(text.split(/[^0-9A-Za-z.]+/).filter((word) => /^\d{6}(\.[A-Z]{2,4})?$/.test(word)));
}

function unique(codes: string[]): string[] {
  return [...new Set(codes.map((code) => code.trim()).filter((code) => code !== "" && code.length <= 32))].slice(0, 5000);
}
