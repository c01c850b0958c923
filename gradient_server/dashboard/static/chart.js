// Draws charts with uPlot: hover shows values, dragging zooms; log scale and smoothing are options of all charts of a page.

import { pause, request } from "./updates.js";

const CHARTS_INTERVAL = 1000;
const CHART_HEIGHT = 190;
const COLORS = 8; // as many as page.css has
const DASHES = [undefined, [8, 4], [2, 3]];

const cssVariable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);

function format(value) {
  if (value == null) return "";
  const text = String(Number(value.toPrecision(6)));
  return text.length > 9 ? String(Number(value.toPrecision(4)).toExponential()) : text;
}

// An exponential moving average; the first points count as much as there are.
function smoothed(values, weight) {
  let last = 0;
  let debias = 1;
  return values.map((value) => {
    if (value == null) return null;
    last = last * weight + (1 - weight) * value;
    debias *= weight;
    return last / (1 - debias);
  });
}

const positive = (values) => values.map((value) => (value > 0 ? value : null));

// The nearest point of a series that has a value: runs need not have the same steps.
function nearest(values, index) {
  for (let distance = 0; distance < values.length; distance++) {
    if (values[index - distance] != null) return index - distance;
    if (values[index + distance] != null) return index + distance;
  }
  return index;
}

// One metric: a series for each job or run. The legend has the values under the cursor, or the last ones.
export class Chart {
  constructor(chart, options = { log: false, smooth: 0 }) {
    this.shape = Chart.shapeOf(chart);
    this.latest = chart;
    this.options = options;
    this.figure = document.createElement("figure");
    this.figure.className = "chart";
    this.figure.append(document.createElement("figcaption"));
    this.figure.firstChild.textContent = chart.name;
  }

  // Charts of the same shape differ in their points alone.
  static shapeOf({ name, axis, series }) {
    return JSON.stringify([name, axis, series.map((one) => one.name)]);
  }

  // With smoothing, each series is preceded by what was measured, drawn faintly.
  get lines() {
    const { log, smooth } = this.options;
    const shown = (y) => (log ? positive(y) : y);
    return this.latest.series.flatMap(({ name, x, y, run, node }, number) => {
      const line = { name, x, color: (run ?? number) % COLORS, dash: run == null ? Math.floor(number / COLORS) : node };
      if (!smooth) return [{ ...line, y: shown(y) }];
      return [
        { ...line, y: shown(y), isFaint: true },
        { ...line, y: shown(smoothed(y, smooth)) },
      ];
    });
  }

  get data() {
    return uPlot.join(this.lines.map(({ x, y }) => [x, y]));
  }

  get size() {
    return { width: this.figure.clientWidth, height: CHART_HEIGHT };
  }

  get isZoomed() {
    const { min, max } = this.plot.scales.x;
    const [x] = this.plot.data;
    return min > x[0] || max < x.at(-1);
  }

  draw() {
    this.plot?.destroy();
    const { lines } = this;
    const colorOf = (number) => `--line-${lines[number - 1].color}`;
    const axis = {
      stroke: () => cssVariable("--quiet"),
      grid: { stroke: () => cssVariable("--rule"), width: 1 },
      ticks: { show: false },
      font: "11px system-ui",
      values: (plot, values) => values.map(format),
    };
    const options = {
      ...this.size,
      padding: [10, 16, 0, 0],
      scales: { x: { time: false }, y: this.options.log ? { distr: 3 } : {} },
      axes: [
        { ...axis, size: 22, gap: 4 },
        { ...axis, size: 52, gap: 6 },
      ],
      cursor: { dataIdx: (plot, number, index) => (number ? nearest(plot.data[number], index) : index) },
      series: [
        { label: this.latest.axis, value: (plot, value) => format(value ?? plot.data[0].at(-1)) },
        ...lines.map(({ name, dash, isFaint }) => ({
          label: name,
          class: isFaint ? "faint" : undefined,
          stroke: (plot, number) => cssVariable(colorOf(number)),
          alpha: isFaint ? 0.25 : 1,
          width: isFaint ? 1 : 1.6,
          dash: DASHES[dash % DASHES.length],
          points: { show: false },
          value: (plot, value, number, index) => format(index == null ? lastOf(plot.data[number]) : value),
        })),
      ],
      legend: { markers: { stroke: (plot, number) => `var(${colorOf(number)})` } },
    };
    this.plot = new uPlot(options, this.data, this.figure);
  }

  update(chart) {
    this.latest = chart;
    const { min, max } = this.plot.scales.x;
    const zoomed = this.isZoomed;
    this.plot.setData(this.data, !zoomed);
    if (zoomed) {
      this.plot.setScale("x", { min, max });
      this.plot.setLegend({ idx: this.plot.cursor.idx ?? null });
    }
  }

  // Draws it with other options, and keeps the part that is zoomed in.
  redraw() {
    const { min, max } = this.plot.scales.x;
    const zoomed = this.isZoomed;
    this.draw();
    if (zoomed) this.plot.setScale("x", { min, max });
  }

  resetZoom() {
    const [x] = this.plot.data;
    this.plot.setScale("x", { min: x[0], max: x.at(-1) });
  }

  resize() {
    this.plot.setSize(this.size);
  }
}

const lastOf = (values) => values.findLast((value) => value != null);

// All charts of a page, and the form with their options. The URL keeps the options, so that a link has them.
export class Charts {
  constructor(url, section) {
    this.url = url;
    this.grid = section.querySelector(".charts");
    this.note = section.querySelector(".note");
    this.form = section.querySelector("form");
    this.charts = [];
    this.requested = false;
    this.running = false;
    this.width = 0;
    this.readOptions();
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", () => this.changeOptions());
    this.form.addEventListener("reset", (event) => {
      event.preventDefault();
      this.charts.forEach((chart) => chart.resetZoom());
    });
    new ResizeObserver(() => {
      if (section.clientWidth === this.width) return;
      this.width = section.clientWidth;
      this.charts.forEach((chart) => chart.resize());
    }).observe(section);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
      this.charts.forEach((chart) => chart.redraw()),
    );
  }

  readOptions() {
    const query = new URLSearchParams(location.search);
    const { log, smooth } = this.form.elements;
    log.checked = query.has("log");
    smooth.value = query.get("smooth") ?? 0;
    this.options = { log: log.checked, smooth: Number(smooth.value) };
    this.form.querySelector("output").textContent = smooth.value;
  }

  changeOptions() {
    const { log, smooth } = this.form.elements;
    const url = new URL(location);
    if (log.checked) url.searchParams.set("log", "1");
    else url.searchParams.delete("log");
    if (Number(smooth.value)) url.searchParams.set("smooth", smooth.value);
    else url.searchParams.delete("smooth");
    history.replaceState(null, "", url);
    this.readOptions();
    this.charts.forEach((chart) => {
      chart.options = this.options;
      chart.redraw();
    });
  }

  // Requests the charts again when there are more rows, and takes at most a fifth of the server's time.
  async refresh() {
    this.requested = true;
    if (this.running) return;
    this.running = true;
    while (this.requested) {
      this.requested = false;
      const began = performance.now();
      const response = await request(this.url);
      if (response?.ok) this.show(await response.json());
      await pause(Math.max(CHARTS_INTERVAL, 4 * (performance.now() - began)));
    }
    this.running = false;
  }

  show({ charts, note }) {
    const shapes = charts.map(Chart.shapeOf);
    if (shapes.join() === this.charts.map((chart) => chart.shape).join()) {
      this.charts.forEach((chart, number) => chart.update(charts[number]));
    } else {
      this.charts = charts.map((chart) => new Chart(chart, this.options));
      this.grid.replaceChildren(...this.charts.map((chart) => chart.figure));
      this.charts.forEach((chart) => chart.draw());
    }
    this.form.hidden = !charts.length;
    this.note.textContent = note;
  }
}
