// Keeps a page up to date and draws its charts. The server renders all HTML, and escapes it.

const LIST_INTERVAL = 2000;
const UPDATE_INTERVAL = 150; // so that a job which prints a lot does not keep the browser busy
const CHARTS_INTERVAL = 1000;
const RETRY_INTERVAL = 3000;
const WAIT_SECONDS = 25;
const CHART_HEIGHT = 190;
const COLORS = 8; // as many as page.css has

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// Hidden pages request nothing: a browser opens few connections to a server, and other tabs may need them.
const visible = () =>
  new Promise((resolve) => {
    if (!document.hidden) return resolve();
    document.addEventListener("visibilitychange", () => resolve(), { once: true });
  });

// A page that is being left requests nothing: after a logout it would be refused.
let leaving = false;
addEventListener("beforeunload", () => (leaving = true));
addEventListener("pageshow", () => (leaving = false));

async function request(url) {
  if (leaving) await pause(60_000);
  const response = await fetch(url, { credentials: "same-origin", cache: "no-store" });
  if (response.status === 401 || response.redirected) {
    location.reload(); // the session has ended: this shows the login page
    await pause(60_000);
  }
  return response;
}

async function keepListUpdated(main) {
  for (;;) {
    await pause(LIST_INTERVAL);
    await visible();
    try {
      const response = await request(location.href);
      if (!response.ok) continue;
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const latest = page.querySelector("main");
      document.title = page.title;
      if (latest.innerHTML !== main.innerHTML) main.replaceChildren(...latest.childNodes);
    } catch {
      await pause(RETRY_INTERVAL);
    }
  }
}

class Log {
  constructor(box) {
    this.box = box;
    this.rows = box.querySelector("#rows");
    this.maxRows = Number(box.dataset.maxRows);
    this.lines = box.dataset.lines;
    if (this.showsEnd) this.scrollToEnd();
  }

  get showsEnd() {
    return this.lines !== undefined;
  }

  scrollToEnd() {
    this.box.scrollTop = this.box.scrollHeight;
  }

  append(update) {
    const atEnd = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < 30;
    if (update.skipped) this.rows.replaceChildren();
    this.rows.insertAdjacentHTML("beforeend", update.rows);
    while (this.rows.rows.length > this.maxRows) this.rows.rows[0].remove();
    this.lines = update.lines;
    document.querySelector("#range").innerHTML = update.range;
    const shown = document.querySelector("#shown");
    if (shown) shown.textContent = this.rows.rows.length.toLocaleString("en");
    if (atEnd) this.scrollToEnd();
  }
}

const cssVariable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);
const colorOf = (plot, number) => `--line-${(number - 1) % COLORS}`;

function format(value) {
  if (value == null) return "";
  const text = String(Number(value.toPrecision(6)));
  return text.length > 9 ? String(Number(value.toPrecision(4)).toExponential()) : text;
}

// One metric: a series for each job. The legend has the values under the cursor, or the last ones. Dragging zooms.
export class Chart {
  constructor(chart) {
    this.shape = Chart.shapeOf(chart);
    this.latest = chart;
    this.figure = document.createElement("figure");
    this.figure.className = "chart";
    this.figure.append(document.createElement("figcaption"));
    this.figure.firstChild.textContent = chart.name;
  }

  // Charts of the same shape differ in their points alone.
  static shapeOf({ name, axis, series }) {
    return JSON.stringify([name, axis, series.map((one) => one.name)]);
  }

  get data() {
    const { series } = this.latest;
    return uPlot.join(series.map(({ x, y }) => [x, y]));
  }

  get size() {
    return { width: this.figure.clientWidth, height: CHART_HEIGHT };
  }

  draw() {
    this.plot?.destroy();
    const axis = {
      stroke: () => cssVariable("--quiet"),
      grid: { stroke: () => cssVariable("--rule"), width: 1 },
      ticks: { show: false },
      font: "11px system-ui",
      values: (plot, values) => values.map(format),
    };
    const line = {
      stroke: (plot, number) => cssVariable(colorOf(plot, number)),
      width: 1.6,
      spanGaps: true,
      points: { show: false },
      value: (plot, value, number, index) => format(index == null ? this.latest.series[number - 1].y.at(-1) : value),
    };
    const options = {
      ...this.size,
      padding: [10, 16, 0, 0],
      scales: { x: { time: false } },
      axes: [
        { ...axis, size: 22, gap: 4 },
        { ...axis, size: 52, gap: 6 },
      ],
      series: [
        { label: this.latest.axis, value: (plot, value) => format(value ?? plot.data[0].at(-1)) },
        ...this.latest.series.map(({ name }) => ({ ...line, label: name })),
      ],
      legend: { markers: { stroke: (plot, number) => `var(${colorOf(plot, number)})` } },
    };
    this.plot = new uPlot(options, this.data, this.figure);
  }

  update(chart) {
    this.latest = chart;
    const { min, max } = this.plot.scales.x;
    const [x] = this.plot.data;
    const zoomed = min > x[0] || max < x.at(-1);
    this.plot.setData(this.data, !zoomed);
    if (zoomed) {
      this.plot.setScale("x", { min, max });
      this.plot.setLegend({ idx: this.plot.cursor.idx ?? null });
    }
  }

  resize() {
    this.plot.setSize(this.size);
  }
}

class Charts {
  constructor(url, section) {
    this.url = `${url}/charts`;
    this.grid = section.querySelector(".charts");
    this.note = section.querySelector(".note");
    this.charts = [];
    this.requested = false;
    this.running = false;
    this.width = 0;
    new ResizeObserver(() => {
      if (section.clientWidth === this.width) return;
      this.width = section.clientWidth;
      this.charts.forEach((chart) => chart.resize());
    }).observe(section);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
      this.charts.forEach((chart) => chart.draw()),
    );
  }

  // Requests the charts again when the log has grown, and takes at most a fifth of the server's time.
  async refresh() {
    this.requested = true;
    if (this.running) return;
    this.running = true;
    while (this.requested) {
      this.requested = false;
      const began = performance.now();
      try {
        const response = await request(this.url);
        if (response.ok) this.show(await response.json());
      } catch {
        // The next update requests them again.
      }
      await pause(Math.max(CHARTS_INTERVAL, 4 * (performance.now() - began)));
    }
    this.running = false;
  }

  show({ charts, note }) {
    const shapes = charts.map(Chart.shapeOf);
    if (shapes.join() === this.charts.map((chart) => chart.shape).join()) {
      this.charts.forEach((chart, number) => chart.update(charts[number]));
    } else {
      this.charts = charts.map((chart) => new Chart(chart));
      this.grid.replaceChildren(...this.charts.map((chart) => chart.figure));
      this.charts.forEach((chart) => chart.draw());
    }
    this.note.textContent = note;
  }
}

async function keepExperimentUpdated(article) {
  const { url } = article.dataset;
  const log = new Log(article.querySelector(".log"));
  const charts = new Charts(url, article.querySelector("#charts"));
  const status = article.querySelector("#status");
  let { state } = article.dataset;
  charts.refresh();
  while ("live" in article.dataset) {
    await visible();
    try {
      const query = new URLSearchParams({ state, wait: WAIT_SECONDS });
      if (log.showsEnd) query.set("lines", log.lines);
      const response = await request(`${url}/updates?${query}`);
      if (response.status === 404) {
        status.textContent = "This experiment has been deleted.";
        return;
      }
      if (!response.ok) throw new Error(response.statusText);
      const update = await response.json();
      status.textContent = "";
      if (update.over) return;
      if (update.title) {
        state = String(update.state);
        document.title = update.title;
        article.querySelector("#summary").outerHTML = update.summary;
      }
      if (update.lines !== undefined) {
        log.append(update);
        if (update.count) charts.refresh();
      }
      await pause(UPDATE_INTERVAL);
    } catch {
      status.textContent = "The server does not respond; this page tries again.";
      await pause(RETRY_INTERVAL);
    }
  }
}

const article = document.querySelector("article[data-url]");
if (article) keepExperimentUpdated(article);
else if (!document.querySelector("form.login")) keepListUpdated(document.querySelector("main"));
