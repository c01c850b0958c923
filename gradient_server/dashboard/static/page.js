// Starts what keeps each page up to date. The server renders all HTML, and escapes it.

import { Charts } from "./chart.js";
import { keepListUpdated } from "./list.js";
import { WAIT_SECONDS, keepTimes, pause, refreshPage, request, say, visible } from "./updates.js";

const UPDATE_INTERVAL = 150; // so that a job which prints a lot does not keep the browser busy
const COMPARE_INTERVAL = 3000;

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

async function keepExperimentUpdated(article) {
  const { url } = article.dataset;
  const log = new Log(article.querySelector(".log"));
  const charts = new Charts(`${url}/charts`, article.querySelector("#charts"));
  let { state } = article.dataset;
  charts.refresh();
  while ("live" in article.dataset) {
    await visible();
    const query = new URLSearchParams({ state, wait: WAIT_SECONDS });
    if (log.showsEnd) query.set("lines", log.lines);
    const response = await request(`${url}/updates?${query}`);
    if (response?.status === 404) return say("This experiment has been deleted.");
    if (!response?.ok) {
      await pause(COMPARE_INTERVAL);
      continue;
    }
    const update = await response.json();
    if (update.over) return;
    if (update.title) {
      state = String(update.state);
      document.title = update.title;
      article.querySelector("#summary").outerHTML = update.summary;
    }
    if (update.lines !== undefined) log.append(update);
    charts.refresh(); // also without new rows: metrics can be pushed
    await pause(UPDATE_INTERVAL);
  }
}

async function keepComparisonUpdated(section) {
  const { url } = section.dataset;
  const charts = new Charts(`${url}/charts${location.search}`, section);
  charts.refresh();
  while ("live" in section.dataset) {
    await pause(COMPARE_INTERVAL);
    await visible();
    await refreshPage(document.querySelector("#compared"));
    charts.refresh();
  }
}

document.documentElement.classList.add("has-scripts");
keepTimes();
const article = document.querySelector("article[data-url]");
const comparison = document.querySelector("section[data-url]");
if (article) keepExperimentUpdated(article);
else if (comparison) keepComparisonUpdated(comparison);
else if (!document.querySelector("form.login")) keepListUpdated(document.querySelector("main"));
