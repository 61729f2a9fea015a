// Where the tiles of the map are. Pure: rows in, rectangles out.
import { hierarchy, treemap, treemapSquarify } from "d3-hierarchy";
import { change } from "./market.ts";
import type { Board, Row } from "./protocol.ts";

export interface Tile {
  code: string;
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Group extends Tile {
  /** Mean change weighted by turnover, null where nothing is known. */
  share: number | null;
}

interface Node {
  name: string;
  size: number;
  children?: Node[];
}

export const HEADER = 18;

/** Tiles by turnover, in groups that each have a heading of HEADER pixels. Rows without turnover take no area. */
export function layout(
  rows: Iterable<Row>,
  grouping: "board" | "prefix",
  board: Board | "",
  width: number,
  height: number,
): { tiles: Tile[]; groups: Group[] } {
  const grouped = new Map<string, Row[]>();
  for (const row of rows) {
    if ((board !== "" && row.board !== board) || !((row.turnover ?? 0) > 0)) continue;
    const name = grouping === "board" ? row.board : row.code.slice(0, 3);
    const group = grouped.get(name);
    if (group === undefined) grouped.set(name, [row]);
    else group.push(row);
  }
  const children = [...grouped].map(([name, members]) => ({
    name,
    size: 0,
    children: members.map((row) => ({ name: row.code, size: row.turnover ?? 0 })),
  }));
  const root = hierarchy<Node>({ name: "", size: 0, children }).sum((node) => node.size);
  root.sort((a, b) => (b.value ?? 0) - (a.value ?? 0) || (a.data.name < b.data.name ? -1 : 1));
  const placed = treemap<Node>().tile(treemapSquarify).size([width, height]).paddingTop((node) => (node.depth === 1 ? HEADER : 0))
    .paddingInner((node) => (node.depth === 0 ? 3 : 0)).round(false)(root);
  const rectangle = (node: { x0: number; y0: number; x1: number; y1: number; data: Node }): Tile => ({
    code: node.data.name,
    x: node.x0,
    y: node.y0,
    width: node.x1 - node.x0,
    height: node.y1 - node.y0,
  });
  const groups = (placed.children ?? []).map((node) => ({
    ...rectangle(node),
    share: weighted(grouped.get(node.data.name) ?? []),
  }));
  return { tiles: placed.leaves().filter((leaf) => leaf.depth === 2).map(rectangle), groups };
}

function weighted(rows: readonly Row[]): number | null {
  let sum = 0;
  let weight = 0;
  for (const row of rows) {
    const share = change(row);
    if (share === null) continue;
    sum += share * (row.turnover ?? 0);
    weight += row.turnover ?? 0;
  }
  return weight > 0 ? sum / weight : null;
}

/** The nearest tile in a direction, by the distance between the middles; the same one where there is none. */
export function neighbour(tiles: readonly Tile[], from: Tile, dx: number, dy: number): Tile {
  let best = from;
  let least = Infinity;
  const x = from.x + from.width / 2;
  const y = from.y + from.height / 2;
  for (const tile of tiles) {
    const along = (tile.x + tile.width / 2 - x) * dx + (tile.y + tile.height / 2 - y) * dy;
    const across = Math.abs((tile.x + tile.width / 2 - x) * dy) + Math.abs((tile.y + tile.height / 2 - y) * dx);
    if (tile === from || along <= 0.5) continue;
    const distance = along + across * 2;
    if (distance < least) {
      least = distance;
      best = tile;
    }
  }
  return best;
}
