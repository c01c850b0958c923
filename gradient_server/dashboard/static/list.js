// The list: what is typed and chosen goes into the URL, and the server answers with the runs that it asks for.

import { pause, refreshPage, visible } from "./updates.js";

const LIST_INTERVAL = 2000;
const TYPING_INTERVAL = 250;

// Returns the URL with what is filled in.
function urlOf(form, path) {
  const query = new URLSearchParams();
  const columns = form.querySelectorAll("input[name=column]:checked").length;
  const isDefault = !new URLSearchParams(location.search).has("column") && !form.columnsChosen;
  for (const [name, value] of new FormData(form)) {
    if (name === "column" && (isDefault || (columns && !value))) continue;
    if (value || name === "column") query.append(name, value);
  }
  if (query.get("sort") === "-created") query.delete("sort");
  const url = new URL(path, location);
  url.search = query;
  return url;
}

export async function keepListUpdated(main) {
  let timer;
  const change = (form, { keepsOffset = false } = {}) => {
    const url = urlOf(form, location.pathname);
    const offset = new URLSearchParams(location.search).get("offset");
    if (keepsOffset && offset) url.searchParams.set("offset", offset);
    history.replaceState(null, "", url);
    return refreshPage(main);
  };
  main.addEventListener("input", ({ target }) => {
    const { form, name } = target;
    if (name === "column") form.columnsChosen = true;
    clearTimeout(timer);
    timer = setTimeout(() => change(form, { keepsOffset: name === "run" }), name === "q" ? TYPING_INTERVAL : 0);
  });
  main.addEventListener("submit", (event) => {
    event.preventDefault();
    const path = event.submitter?.getAttribute("formaction");
    if (path && document.activeElement?.name !== "q") location.assign(urlOf(event.target, path));
    else change(event.target);
  });
  main.addEventListener("click", (event) => {
    const link = event.target.closest("thead a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const form = link.closest("form");
    form.elements.sort.value = new URL(link.href).searchParams.get("sort") ?? "-created";
    change(form);
  });
  for (;;) {
    await pause(LIST_INTERVAL);
    await visible();
    await refreshPage(main);
  }
}
