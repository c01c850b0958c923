// Requests that bring a page up to date, and what a page says while there is no answer.

export const WAIT_SECONDS = 8; // a server that neither answers nor refuses is noticed a few seconds later
const RETRY_INTERVAL = 2000;
const TIMEOUT = (WAIT_SECONDS + 4) * 1000;

export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// Hidden pages request nothing: a browser opens few connections to a server, and other tabs may need them.
export const visible = () =>
  new Promise((resolve) => {
    if (!document.hidden) return resolve();
    document.addEventListener("visibilitychange", () => resolve(), { once: true });
  });

// A page that is being left requests nothing: after a logout it would be refused.
let leaving = false;
addEventListener("beforeunload", () => (leaving = true));
addEventListener("pageshow", () => (leaving = false));

// Returns the response, or null after a pause where there is none.
export async function request(url) {
  if (leaving) await pause(60_000);
  let response;
  try {
    response = await fetch(url, { credentials: "same-origin", cache: "no-store", signal: AbortSignal.timeout(TIMEOUT) });
  } catch {
    if (!leaving) disconnected();
    await pause(RETRY_INTERVAL);
    return null;
  }
  if (response.status === 401 || response.redirected) {
    location.reload(); // the session has ended: this shows the login page
    await pause(60_000);
  }
  connected();
  return response;
}

export const say = (text) => {
  const status = document.querySelector("#status");
  if (status.textContent !== text) status.textContent = text;
};

const LIVE = ".badge.going:not([data-known])";
let lost = null;

function disconnected() {
  lost ??= { at: new Date(), title: document.title };
  const time = lost.at.toLocaleTimeString();
  say(`The server has not responded since ${time}. What is shown may be out of date; this page keeps trying.`);
  for (const badge of document.querySelectorAll(LIVE)) {
    badge.dataset.known = badge.textContent;
    badge.textContent = "unknown";
    badge.classList.remove("going");
  }
  if (document.querySelector("h1 [data-known]")) document.title = lost.title.replace(/^[^·]*/, "unknown ");
}

function connected() {
  if (!lost) return;
  say("");
  document.title = lost.title;
  lost = null;
  for (const badge of document.querySelectorAll("[data-known]")) {
    badge.textContent = badge.dataset.known;
    badge.classList.add("going");
    delete badge.dataset.known;
  }
}

// --- times: how long a run has been running counts up, and dates show the local time under the mouse

const format = (seconds) => {
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60];
  const two = (number) => String(number).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
};

function tick() {
  if (lost) return;
  for (const element of document.querySelectorAll("[data-elapsed]")) {
    const given = element.dataset.elapsed;
    if (element.given !== given) Object.assign(element, { given, since: performance.now() });
    element.textContent = format(Number(given) + (performance.now() - element.since) / 1000);
  }
}

function showLocalTime({ target }) {
  const time = target.closest?.("time[datetime]");
  if (!time) return;
  const local = new Date(time.dateTime).toLocaleString("sv", { timeZoneName: "short" });
  time.title = `${local} (local time)`;
}

export function keepTimes() {
  setInterval(tick, 1000);
  document.addEventListener("mouseover", showLocalTime);
}

// --- morphing

// Makes an element equal to another one. What is equal already stays, with its focus, selection and typed text.
export function morph(old, latest) {
  if (old.isEqualNode(latest)) return old;
  if (old.nodeName !== latest.nodeName || old.id !== latest.id) {
    old.replaceWith(latest);
    return latest;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    old.data = latest.data;
    return old;
  }
  for (const { name } of [...old.attributes])
    if (!latest.hasAttribute(name) && !["title", "open"].includes(name)) old.removeAttribute(name);
  for (const { name, value } of latest.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const byId = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
  let next = old.firstChild;
  for (const child of [...latest.childNodes]) {
    const known = child.id ? byId.get(child.id) : !next?.id && next;
    if (known && known !== next) old.insertBefore(known, next);
    if (known) next = morph(known, child).nextSibling;
    else old.insertBefore(child, next);
  }
  while (next) {
    const following = next.nextSibling;
    next.remove();
    next = following;
  }
  return old;
}

// Shows the latest version of an element of the page; it has an id.
export async function refreshPage(element) {
  const { href } = location;
  const response = await request(href);
  if (!response?.ok || location.href !== href) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  if (location.href !== href) return;
  document.title = page.title;
  const focused = document.activeElement;
  morph(element, page.getElementById(element.id));
  if (focused.id && document.activeElement !== focused) document.getElementById(focused.id)?.focus();
}
