// What every view has, and what it is given.
import type { Language } from "./format.ts";
import type { Dirty, Market } from "./market.ts";
import type { Row, Status } from "./protocol.ts";
import type { FeedEvent } from "./records.ts";
import type { Settings } from "./settings.ts";
import type { Stream } from "./stream.ts";
import type { Say } from "./texts.ts";

export interface Context {
  readonly market: Market;
  readonly stream: Stream;
  readonly settings: Settings;
  readonly say: Say;
  readonly language: Language;
  /** The last status, and those of the last five minutes, the oldest first. */
  readonly history: readonly Sample[];
  readonly events: readonly FeedEvent[];
  readonly reducedMotion: boolean;
  save(): void;
  /** Ask for a frame. */
  schedule(): void;
  open(code: string): void;
  get(path: string): Promise<unknown>;
}

export interface Sample {
  status: Status;
  /** Frames painted and rows received by this page in the second before. */
  frames: number;
  rows: number;
}

export interface View {
  readonly element: HTMLElement;
  /** Called in a frame: paint what has changed. */
  paint(dirty: Dirty, now: number): void;
  /** Rows of a subscription of the view's own. */
  rows?(id: string, rows: Row[], snapshot: boolean): void;
  status?(): void;
  event?(event: FeedEvent): void;
  key?(event: KeyboardEvent): boolean;
  close(): void;
}

/** Put a code on the watchlist, or take it off. */
export function toggleWatched(context: Context, code: string): boolean {
  const list = context.settings.watchlist;
  const at = list.indexOf(code);
  if (at < 0) list.push(code);
  else list.splice(at, 1);
  context.save();
  return at < 0;
}
