// Keeps a page up to date. All of it can be seen without this, too; the server writes all HTML, and escapes it.

const LIST_PAUSE = 2000;
const ROWS_PAUSE = 150; // so that a job which prints a lot does not keep the browser busy
const CURVES_PAUSE = 1000;
const PAUSE_AFTER_FAILURE = 3000;
const WAIT = 25;

const pause = (milliseconds) => new Promise((go) => setTimeout(go, milliseconds));

// Pages that nobody looks at ask for nothing: browsers have few connections, and other tabs may need them.
const visible = () =>
  new Promise((go) => {
    if (!document.hidden) return go();
    document.addEventListener("visibilitychange", () => go(), { once: true });
  });

// A page that is being left asks no more: after a logout it would only be refused.
let leaving = false;
addEventListener("beforeunload", () => (leaving = true));
addEventListener("pageshow", () => (leaving = false));

async function ask(address) {
  if (leaving) await pause(60_000);
  const response = await fetch(address, { credentials: "same-origin", cache: "no-store" });
  if (response.status === 401 || response.redirected) {
    location.reload(); // there is no session any more: this shows the login
    await pause(60_000);
  }
  return response;
}

async function keepList(main) {
  for (;;) {
    await pause(LIST_PAUSE);
    await visible();
    try {
      const response = await ask(location.href);
      if (!response.ok) continue;
      const read = new DOMParser().parseFromString(await response.text(), "text/html");
      const fresh = read.querySelector("main");
      document.title = read.title;
      if (fresh.innerHTML !== main.innerHTML) main.replaceChildren(...fresh.childNodes);
    } catch {
      await pause(PAUSE_AFTER_FAILURE);
    }
  }
}

class Log {
  constructor(box) {
    this.box = box;
    this.rows = box.querySelector("#rows");
    this.most = Number(box.dataset.most);
    this.seen = box.dataset.seen;
    this.goToEnd();
  }

  get follows() {
    return this.seen !== undefined;
  }

  goToEnd() {
    if (this.follows) this.box.scrollTop = this.box.scrollHeight;
  }

  take(news) {
    if (!this.follows) return;
    const atEnd = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < 30;
    if (news.skipped) this.rows.replaceChildren();
    this.rows.insertAdjacentHTML("beforeend", news.rows);
    while (this.rows.rows.length > this.most) this.rows.rows[0].remove();
    this.seen = news.seen;
    document.querySelector("#which").innerHTML = news.which;
    const shown = document.querySelector("#shown");
    if (shown) shown.textContent = this.rows.rows.length.toLocaleString("en");
    if (atEnd) this.goToEnd();
  }
}

// Draws anew when there is something new, and takes no more of the server's time than a fifth.
class Curves {
  constructor(place, section) {
    this.address = `${place}/curves`;
    this.section = section;
    this.wanted = false;
    this.going = false;
  }

  async draw() {
    this.wanted = true;
    if (this.going) return;
    this.going = true;
    while (this.wanted) {
      this.wanted = false;
      const began = performance.now();
      try {
        const response = await ask(this.address);
        if (response.ok) this.section.innerHTML = await response.text();
      } catch {
        // The next news draw it again.
      }
      await pause(Math.max(CURVES_PAUSE, 4 * (performance.now() - began)));
    }
    this.going = false;
  }
}

async function follow(article) {
  const place = article.dataset.place;
  const log = new Log(article.querySelector(".log"));
  const curves = new Curves(place, article.querySelector("#curves"));
  const says = article.querySelector("#news");
  let state = article.dataset.state;
  if (!("live" in article.dataset)) return;
  for (;;) {
    await visible();
    try {
      const query = new URLSearchParams({ state, wait: WAIT });
      if (log.follows) query.set("seen", log.seen);
      const response = await ask(`${place}/news?${query}`);
      if (response.status === 404) {
        says.textContent = "This experiment has been deleted.";
        return;
      }
      if (!response.ok) throw new Error(response.statusText);
      const news = await response.json();
      says.textContent = "";
      if (news.over) return;
      if (news.title) {
        state = String(news.state);
        document.title = news.title;
        article.querySelector("#summary").outerHTML = news.summary;
      }
      if (news.seen !== undefined) {
        log.take(news);
        if (news.count) curves.draw();
      }
      await pause(ROWS_PAUSE);
    } catch {
      says.textContent = "The server does not answer; this page tries again.";
      await pause(PAUSE_AFTER_FAILURE);
    }
  }
}

const article = document.querySelector("article[data-place]");
if (article) follow(article);
else if (!document.querySelector("form.login")) keepList(document.querySelector("main"));
