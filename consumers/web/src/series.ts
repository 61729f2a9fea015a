// What the charts draw, from ticks and bars. Pure.
import { chartSeconds } from "./format.ts";
import type { Bar, FeedEvent, GapMark, Tick } from "./records.ts";

/** A point of the intraday line; time in the chart's seconds. */
export interface Point {
  time: number;
  value: number;
}

export interface Candle {
  time: number;
  open: number;
  high: number;
  low: number;
  close: number;
}

export type Priced = Pick<Tick, "time" | "price">;

/** The last price of each second, in order of time. */
export function line(ticks: readonly Priced[]): Point[] {
  const seconds = new Map<number, number>();
  for (const tick of ticks) seconds.set(chartSeconds(tick.time), tick.price);
  return [...seconds].map(([time, value]) => ({ time, value })).sort((a, b) => a.time - b.time);
}

/** A line whose part before the first tick that is known is made of the candles' closes. */
export function withBars(points: readonly Point[], known: readonly Candle[]): Point[] {
  const first = points[0]?.time ?? Infinity;
  const before = known.map(({ time, close }) => ({ time: time + MINUTE - 1, value: close }));
  return [...before.filter(({ time }) => time < first), ...points];
}

const MINUTE = 60;

/** Candles of one minute: of a minute's bars (an auction's beside continuous trading's) one candle is made. */
export function candles(bars: readonly Bar[]): Candle[] {
  const latest = new Map<string, Bar>();
  for (const bar of bars) {
    const key = `${bar.start}/${bar.auction ?? ""}`;
    const known = latest.get(key);
    if (known === undefined || known.revision <= bar.revision) latest.set(key, bar);
  }
  const made = new Map<number, Candle>();
  const order = (bar: Bar) => bar.start + (bar.auction === "opening" ? -0.5 : bar.auction === "closing" ? 0.5 : 0);
  for (const bar of [...latest.values()].sort((a, b) => order(a) - order(b))) {
    widen(made, chartSeconds(bar.start), bar.open, bar.high, bar.low, bar.close);
  }
  return [...made.values()].sort((a, b) => a.time - b.time);
}

/** Candles of the ticks that there are, for minutes that no bar has. */
export function ofTicks(ticks: readonly Priced[], known: readonly Candle[] = []): Candle[] {
  const has = new Set(known.map((candle) => candle.time));
  const made = new Map<number, Candle>();
  for (const { time, price } of [...ticks].sort((a, b) => a.time - b.time)) {
    const minute = Math.floor(chartSeconds(time) / MINUTE) * MINUTE;
    if (!has.has(minute)) widen(made, minute, price, price, price, price);
  }
  return [...known, ...made.values()].sort((a, b) => a.time - b.time);
}

function widen(made: Map<number, Candle>, time: number, open: number, high: number, low: number, close: number): void {
  const candle = made.get(time);
  if (candle === undefined) made.set(time, { time, open, high, low, close });
  else {
    candle.high = Math.max(candle.high, high);
    candle.low = Math.min(candle.low, low);
    candle.close = close;
  }
}

/** A time between which data may be missing, in the chart's seconds. */
export interface Gap {
  start: number;
  end: number;
}

/** The gaps of a code: its row's mark, and the feed events that concern it. Those that touch are one. */
export function gaps(code: string, mark: GapMark | null | undefined, events: readonly FeedEvent[], now: number, shift = 0): Gap[] {
  const found: Gap[] = [];
  const add = (start: number, end: number | null | undefined) =>
    found.push({ start: chartSeconds(start / 1000 + shift), end: chartSeconds((end ?? now * 1000) / 1000 + shift) });
  if (mark != null && mark.count === 1) add(mark.start, mark.end);
  for (const event of events) {
    const concerned = event.codes === "all" || event.codes == null || event.codes.includes(code);
    if (event.event === "gap" && concerned && event.start != null) add(event.start, event.end ?? event.at);
  }
  if (mark != null && found.length === 0) add(mark.start, mark.end);
  found.sort((a, b) => a.start - b.start);
  const joined: Gap[] = [];
  for (const gap of found) {
    const last = joined.at(-1);
    if (last !== undefined && gap.start <= last.end) last.end = Math.max(last.end, gap.end);
    else joined.push(gap);
  }
  return joined;
}

/** The times at which a gap is drawn: every `step` seconds, a thousand at most in all. */
export function gapTimes(found: readonly Gap[], step: number): number[] {
  const times = new Set<number>();
  for (const { start, end } of found) {
    for (let time = Math.floor(start / step) * step; time <= end && times.size < 1000; time += step) times.add(time);
  }
  return [...times].sort((a, b) => a - b);
}
