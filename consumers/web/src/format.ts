// Figures as text. A figure that is not known is a dash, never 0.
export type Language = "zh" | "en";

export const UNKNOWN = "–";

export function price(value: number | null | undefined): string {
  return value == null ? UNKNOWN : value.toFixed(2);
}

/** A share as a percentage with its sign: 0.0123 is +1.23%. */
export function percent(value: number | null | undefined): string {
  if (value == null) return UNKNOWN;
  const text = (value * 100).toFixed(2);
  if (Number(text) === 0) return "0.00%";
  return `${value > 0 ? "+" : "−"}${text.replace("-", "")}%`;
}

export function signed(value: number | null | undefined): string {
  if (value == null) return UNKNOWN;
  const text = value.toFixed(2);
  if (Number(text) === 0) return "0.00";
  return `${value > 0 ? "+" : "−"}${text.replace("-", "")}`;
}

export function arrow(value: number | null | undefined): string {
  if (value == null) return " ";
  const shown = Number((value * 100).toFixed(2));
  return shown > 0 ? "▲" : shown < 0 ? "▼" : "■";
}

/** Yuan or shares: 万 and 亿 in Chinese, K, M and B in English. */
export function amount(value: number | null | undefined, language: Language): string {
  if (value == null) return UNKNOWN;
  const units: [number, string][] =
    language === "zh"
      ? [[1e12, "万亿"], [1e8, "亿"], [1e4, "万"]]
      : [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "K"]];
  for (const [size, unit] of units) {
    const scaled = value / size;
    // Six characters at most, so that columns stay narrow.
    if (Math.abs(scaled) >= 1) return `${scaled.toFixed(Math.abs(scaled) >= 1000 ? 0 : Math.abs(scaled) >= 100 ? 1 : 2)}${unit}`;
  }
  return value.toFixed(0);
}

export function count(value: number | null | undefined): string {
  return value == null ? UNKNOWN : Math.round(value).toLocaleString("en-US");
}

export function milliseconds(value: number | null | undefined): string {
  if (value == null) return UNKNOWN;
  if (value < 1000) return `${value.toFixed(value < 10 ? 1 : 0)} ms`;
  if (value < 120_000) return `${(value / 1000).toFixed(1)} s`;
  const minutes = value / 60_000;
  return minutes < 120 ? `${minutes.toFixed(0)} min` : `${(minutes / 60).toFixed(0)} h`;
}

const SHANGHAI = 8 * 3600 * 1000;

/** Milliseconds since the epoch as Shanghai's time of day, HH:MM:SS. */
export function clock(ms: number | null | undefined): string {
  return ms == null ? UNKNOWN : new Date(ms + SHANGHAI).toISOString().slice(11, 19);
}

/** Seconds since the epoch as a chart shows them: its axis is in UTC, so Shanghai's hours are put there. */
export function chartSeconds(ms: number): number {
  return Math.floor((ms + SHANGHAI) / 1000);
}
