// One stock's chart: the intraday line or candles, the previous close, and bands where data may be missing.
import {
  AreaSeries, CandlestickSeries, createChart, HistogramSeries, type IChartApi, type ISeriesApi, LineStyle, type UTCTimestamp,
} from "lightweight-charts";
import { variable } from "./dom.ts";
import type { Candle, Point } from "./series.ts";

export class Chart {
  readonly #chart: IChartApi;
  readonly #area: ISeriesApi<"Area">;
  readonly #candles: ISeriesApi<"Candlestick">;
  readonly #bands: ISeriesApi<"Histogram">;
  #closed: number | null = null;
  #fitted = false;

  constructor(place: HTMLElement, locale: string) {
    const text = variable("--muted");
    const grid = variable("--line");
    this.#chart = createChart(place, {
      autoSize: true,
      layout: {
        background: { color: variable("--ground") },
        textColor: text,
        fontFamily: getComputedStyle(document.body).fontFamily,
        attributionLogo: true,
      },
      grid: { vertLines: { color: grid }, horzLines: { color: grid } },
      localization: { locale },
      rightPriceScale: { borderColor: grid },
      timeScale: { borderColor: grid, timeVisible: true, secondsVisible: false, rightOffset: 2 },
    });
    const up = variable("--up");
    const down = variable("--down");
    this.#bands = this.#chart.addSeries(HistogramSeries, {
      priceScaleId: "bands", color: variable("--gap"), priceLineVisible: false, lastValueVisible: false,
      autoscaleInfoProvider: () => ({ priceRange: { minValue: 0, maxValue: 1 } }),
    });
    this.#bands.priceScale().applyOptions({ scaleMargins: { top: 0, bottom: 0 } });
    this.#area = this.#chart.addSeries(AreaSeries, {
      lineColor: variable("--accent"), topColor: variable("--accent-soft"), bottomColor: "transparent", lineWidth: 2,
    });
    this.#candles = this.#chart.addSeries(CandlestickSeries, {
      upColor: up, downColor: down, borderUpColor: up, borderDownColor: down, wickUpColor: up, wickDownColor: down,
    });
  }

  line(points: readonly Point[]): void {
    this.#candles.setData([]);
    this.#area.setData(points.map(({ time, value }) => ({ time: time as UTCTimestamp, value })));
    this.#fit(points.length);
  }

  candles(candles: readonly Candle[]): void {
    this.#area.setData([]);
    this.#candles.setData(candles.map((candle) => ({ ...candle, time: candle.time as UTCTimestamp })));
    this.#fit(candles.length);
  }

  bands(times: readonly number[]): void {
    this.#bands.setData(times.map((time) => ({ time: time as UTCTimestamp, value: 1 })));
  }

  /** A dashed line at the previous close. */
  close(value: number | null, title: string): void {
    if (value === null || value === this.#closed) return;
    this.#closed = value;
    for (const series of [this.#area, this.#candles]) {
      for (const line of series.priceLines()) series.removePriceLine(line);
      series.createPriceLine({ price: value, color: variable("--muted"), lineStyle: LineStyle.Dashed, lineWidth: 1, axisLabelVisible: true, title });
    }
  }

  refit(): void {
    this.#fitted = false;
  }

  remove(): void {
    this.#chart.remove();
  }

  #fit(points: number): void {
    if (this.#fitted || points === 0) return;
    this.#fitted = points > 1;
    this.#chart.timeScale().fitContent();
  }
}
