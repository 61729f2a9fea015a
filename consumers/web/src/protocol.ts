// The gateway's messages, protocol 1: docs/gateway.md.
import type { FeedEvent, Snapshot } from "./records.ts";

export type Board = "MAIN" | "STAR" | "CHINEXT" | "BSE" | "OTHER";
export type SessionState =
  | "pre_open"
  | "auction"
  | "morning"
  | "lunch"
  | "afternoon"
  | "closing_auction"
  | "after_hours"
  | "closed";

/** A snapshot record's fields that a reader needs, and what the gateway knows beside them. */
export type Row = Omit<Snapshot, "origin" | "lines"> & {
  board: Board;
  name: string | null;
  limit_up: number | null;
  limit_down: number | null;
  limit: "up" | "down" | null;
};

export interface Status {
  type: "status";
  time: number;
  session: { state: SessionState; day: string | null };
  feed_age_ms: number | null;
  stale: boolean;
  problems: string[];
  lag: number | null;
  gaps: number;
  ticks_per_s: number;
  latency_ms: { p50: number | null; p99: number | null };
  clients: number;
  codes: number;
  breadth: { up: number; flat: number; down: number; limit_up: number; limit_down: number };
  turnover: number;
  volume: number;
}

export interface Subscription {
  codes?: "*" | string[];
  boards?: Board[];
  threshold?: number | { yuan: number } | { ticks: number } | { bp: number };
  max_hz?: number;
  fields?: string[];
  trailing?: boolean;
  snapshot?: boolean;
}

export type Message =
  | { type: "hello"; protocol: number; time: number; boards: Board[]; limits: { max_hz: number } }
  | { type: "snapshot"; id: string; seq: number; rows: Row[]; reason: string }
  | { type: "delta"; id: string; seq: number; rows: Row[] }
  | Status
  | { type: "event"; event: FeedEvent }
  | { type: "error"; code: string; message: string }
  | { type: "pong"; time: number };

export const WRONG_TOKEN = 4001;
