// The rows that the page has, and which of them have changed since they were last painted.
import type { Row } from "./protocol.ts";

/** What has changed since the last frame: some codes, or all of it. */
export interface Dirty {
  codes: ReadonlySet<string>;
  all: boolean;
}

export class Market {
  readonly rows = new Map<string, Row>();
  /** Which way a code's price last went: 1 up, -1 down. */
  readonly moves = new Map<string, number>();
  /** Rises whenever the set of codes changes. */
  generation = 0;
  #dirty = new Set<string>();
  #all = true;

  /** A snapshot takes the place of all rows. */
  replace(rows: readonly Row[]): void {
    this.rows.clear();
    this.moves.clear();
    for (const row of rows) this.rows.set(row.code, row);
    this.generation += 1;
    this.#all = true;
  }

  /** Rows of a delta, each newer than the one it replaces. */
  merge(rows: readonly Row[]): void {
    for (const row of rows) {
      const before = this.rows.get(row.code);
      if (before === undefined) this.generation += 1;
      else if (before.price !== row.price) this.moves.set(row.code, row.price > before.price ? 1 : -1);
      this.rows.set(row.code, row);
      this.#dirty.add(row.code);
    }
  }

  /** What has changed since it was last taken; never more entries than there are codes. */
  take(): Dirty {
    const dirty = { codes: this.#dirty, all: this.#all };
    this.#dirty = new Set();
    this.#all = false;
    return dirty;
  }

  get waiting(): boolean {
    return this.#all || this.#dirty.size > 0;
  }
}

/** Change against the previous close as a share, 0.01 for 1 %; null where the close is not known. */
export function change(row: Pick<Row, "price" | "previous_close">): number | null {
  const close = row.previous_close;
  return close == null || close <= 0 ? null : row.price / close - 1;
}

/** High to low as a share of the previous close. */
export function amplitude(row: Pick<Row, "high" | "low" | "previous_close">): number | null {
  const close = row.previous_close;
  return close == null || close <= 0 ? null : (row.high - row.low) / close;
}
