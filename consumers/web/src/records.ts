// The records of the topics. Made by `make schemas` from the JSON Schemas: do not edit.
// A field that a record may lack is optional. Fields that a newer pipeline adds are ignored.

/** A level of a book, `[price, volume]`: yuan, and the shares that are asked or offered there. */
export type Level = number[];

/** One pushed tick, as `ashare.ticks.v1` holds it, keyed by `code`. */
export interface Tick {
  /** Six digits for an A share, else "digits.EXCHANGE" */
  code: string;
  /** SSE, SZSE or BSE for an A share */
  exchange: string;
  /** Yuan */
  price: number;
  /** Exchange time, ms since the epoch */
  time: number;
  /** When the frame came off the socket, µs since the epoch */
  received: number;
  /** Line id: one upstream connection */
  source: string;
  /** Start of this line's producer, ms since the epoch */
  run: number;
  /** The run's own count of ticks, no holes over all partitions */
  n: number;
  /** Shares; whole for A shares */
  volume?: number | null;
  /** Yuan */
  turnover?: number | null;
  /** Who took the liquidity */
  side?: "buy" | "sell" | null;
  /** The provider's own sequence number */
  seq?: number | null;
  /** Yuan */
  previous_close?: number | null;
  /** What the quality gate found, comma between several (off_grid, backwards …; more to come); null: nothing */
  quality?: string | null;
  /** Levels of the buyers, the highest price first */
  bids?: Level[] | null;
  /** Levels of the sellers, the lowest price first */
  asks?: Level[] | null;
  /** Yuan: the day's first price */
  day_open?: number | null;
  /** Yuan: the day's highest price so far */
  day_high?: number | null;
  /** Yuan: the day's lowest price so far */
  day_low?: number | null;
  /** Shares of the day so far, as the feed has them */
  day_volume?: number | null;
  /** Yuan of the day so far, as the feed has them */
  day_turnover?: number | null;
  /** Yuan: the day's average price, weighted by volume */
  average?: number | null;
}

/** What may be missing of a code's session: from the start of the first gap to the end of the last, local clock. */
export interface GapMark {
  /** The feed event that told of it */
  id: string;
  /** Since when ticks may be missing, µs since the epoch */
  start: number;
  /** Until when, µs since the epoch; null: it lasts */
  end: number | null;
  /** How many gaps the mark covers */
  count?: number;
}

/** The last tick of one line that took effect. */
export interface LineMark {
  /** Line id: one upstream connection */
  source: string;
  /** Start of this line's producer, ms since the epoch */
  run: number;
  /** The run's own count of ticks, no holes over all partitions */
  n: number;
  /** When the frame came off the socket, µs since the epoch */
  received?: number | null;
}

/** The place in `ashare.ticks.v1` that an effect came from. */
export interface Origin {
  /** Partition of the tick */
  partition: number;
  /** Offset of the tick */
  offset: number;
}

/** The latest state of a stock and its session so far: `ashare.snapshots.v1`, compacted, keyed by `code`. */
export interface Snapshot {
  /** Six digits for an A share, else "digits.EXCHANGE" */
  code: string;
  /** SSE, SZSE or BSE for an A share */
  exchange: string;
  /** Yuan */
  price: number;
  /** Exchange time, ms since the epoch */
  time: number;
  /** When the frame came off the socket, µs since the epoch */
  received: number;
  /** Shanghai date, YYYY-MM-DD */
  session: string;
  /** Yuan */
  open: number;
  /** Yuan */
  high: number;
  /** Yuan */
  low: number;
  /** Ticks of this session */
  ticks: number;
  origin: Origin;
  /** The last tick applied, of each line */
  lines: LineMark[];
  /** Shares; whole for A shares */
  volume?: number | null;
  /** Yuan */
  turnover?: number | null;
  /** Yuan */
  previous_close?: number | null;
  /** What of the session may be missing; null: nothing known */
  gap?: GapMark | null;
  /** Ticks of this session whose price broke a trading rule */
  doubtful?: number;
  /** What the quality gate found, comma between several (off_grid, backwards …; more to come); null: nothing */
  quality?: string | null;
}

/** A move larger than the threshold: `ashare.price-changes.v1`, keyed by `code`. */
export interface PriceChange {
  /** Six digits for an A share, else "digits.EXCHANGE" */
  code: string;
  /** Yuan */
  price: number;
  /** Yuan */
  previous: number | null;
  /** Yuan: price less previous */
  change: number | null;
  /** Of previous, two decimals, half away from zero */
  change_bp: number | null;
  /** Exchange time, ms since the epoch */
  time: number;
  /** When the frame came off the socket, µs since the epoch */
  received: number;
  /** Shares; whole for A shares */
  volume: number | null;
  /** Ticks since the last emission, this one included */
  ticks: number;
  /** Yuan: the threshold in force */
  threshold: number;
  origin: Origin;
  /** The tick that caused it: its line, run and number */
  cause?: LineMark | null;
  /** What the quality gate found, comma between several (off_grid, backwards …; more to come); null: nothing */
  quality?: string | null;
}

/** What happened to a line, and so what is *not* known: `ashare.feed-events.v1`, keyed by `source`. */
export interface FeedEvent {
  /** What happened */
  event: "acknowledged" | "clock" | "connected" | "disconnected" | "gap" | "limited" | "log_replaced" | "never_seen" | "overflow" | "refused" | "repeats" | "resubscribed" | "spooling" | "started" | "stopped" | "subscribed" | "switched" | "unreadable";
  /** Line id: one upstream connection */
  source: string;
  /** Start of this line's producer, ms since the epoch */
  run: number;
  /** The run's own count of ticks, no holes over all partitions */
  n: number;
  /** Local time, µs since the epoch */
  at: number;
  /** Why, in words */
  reason?: string | null;
  /** Local time, µs since the epoch */
  start?: number | null;
  /** Local time, µs since the epoch */
  end?: number | null;
  /** Codes concerned */
  codes?: string[] | "all" | null;
  /** SOURCE/RUN/COUNT, the same however often the event is sent */
  id?: string | null;
  /** How a gap was found */
  detected?: "disconnect" | "killed" | "merged" | "overflow" | "retention" | "sequence" | "silence" | "volume" | null;
  /** Shares that traded in the gap, if known */
  missed?: number | null;
  /** The connection that delivers from now on, of several; or TOPIC/PARTITION, which lost records */
  line?: string | null;
  /** How many things it tells of */
  count?: number | null;
}

/** What traded of a code in one minute: `ashare.bars-1m.v1`, keyed by `code`. */
export interface Bar {
  /** Six digits for an A share, else "digits.EXCHANGE" */
  code: string;
  /** SSE, SZSE or BSE for an A share */
  exchange: string;
  /** Shanghai date, YYYY-MM-DD */
  session: string;
  /** Exchange time from which on, ms since the epoch */
  start: number;
  /** Exchange time before which, ms since the epoch */
  end: number;
  /** Yuan */
  open: number;
  /** Yuan */
  high: number;
  /** Yuan */
  low: number;
  /** Yuan */
  close: number;
  /** Ticks of the bar */
  ticks: number;
  /** 0, and one more each time the bar is made anew */
  revision: number;
  origin: Origin;
  /** Shares; whole for A shares */
  volume?: number | null;
  /** Yuan */
  turnover?: number | null;
  /** Of which auction it is; null: continuous trading */
  auction?: "closing" | "opening" | null;
  /** What of the bar may be missing; null: nothing known */
  gap?: GapMark | null;
  /** Ticks of the bar whose price broke a trading rule */
  doubtful?: number;
}
