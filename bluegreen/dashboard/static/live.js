// Pages work without this. With it they change as things happen: one stream of events a page,
// whose fragments take the place of those with the same id.
"use strict";

const page = document.body.dataset;
const connection = document.getElementById("connection");
const say = document.getElementById("say");
let have = page.have;
let stream = null;
let again = 0;

function tell(text, kind) {
  connection.hidden = !text;
  connection.className = `strip ${kind || ""}`;
  if (connection.textContent !== text) connection.textContent = text;
}

// -- the stream -----------------------------------------------------------------------------

function connect() {
  clearTimeout(again);
  stream = new EventSource(`${page.stream}?have=${have}`);
  stream.onopen = () => tell("");
  stream.onerror = () => {
    tell("No connection: what is shown may be old. Trying again …", "warn");
    // An answer that is none, as a proxy's while the daemon starts, ends it for good.
    if (stream.readyState === EventSource.CLOSED) again = setTimeout(connect, 1000);
  };
  stream.addEventListener("put", (event) => {
    have = event.lastEventId;
    put(JSON.parse(event.data));
  });
  stream.addEventListener("end", () => stream.close());
  stream.addEventListener("login", () => {
    stream.close();
    tell("Your session is over. ", "warn");
    const link = document.createElement("a");
    link.href = `/login?next=${encodeURIComponent(location.pathname)}`;
    link.textContent = "Log in";
    connection.append(link);
  });
  if (output) {
    stream.addEventListener("output", () => { lines = []; output.textContent = ""; });
    stream.addEventListener("line", (event) => addLine(JSON.parse(event.data)));
  }
  if (chart) stream.addEventListener("points", (event) => addPoints(JSON.parse(event.data)));
}

function element(html) {
  const template = document.createElement("template");
  template.innerHTML = html; // of the daemon's templates, which escape every value
  return template.content.firstElementChild;
}

function put(news) {
  for (const [id, html] of Object.entries(news.put)) {
    const old = document.getElementById(id);
    const fresh = element(html);
    if (!old || old.dataset.v === fresh.dataset.v) continue;
    const focused = old.contains(document.activeElement) && document.activeElement;
    old.replaceWith(fresh);
    if (focused) focusLike(fresh, focused);
    if (fresh.dataset.say && fresh.dataset.say !== old.dataset.say) say.textContent = fresh.dataset.say;
  }
  const rows = document.querySelector("[data-rows]");
  if (rows) arrange(rows, news);
  filter();
  tick();
}

function focusLike(fresh, focused) {
  const href = focused.getAttribute("href");
  for (const link of fresh.querySelectorAll("a")) {
    if (link.getAttribute("href") === href) return link.focus({ preventScroll: true });
  }
  document.getElementById("main").focus({ preventScroll: true });
}

// Apps come and go with the configuration.
function arrange(rows, news) {
  const wanted = news.all.filter((id) => id.startsWith("app-"));
  const known = new Set(wanted);
  for (const row of [...rows.children]) if (!known.has(row.id)) row.remove();
  wanted.forEach((id, place) => {
    const row = document.getElementById(id) || (news.put[id] && element(news.put[id]));
    if (row && rows.children[place] !== row) rows.insertBefore(row, rows.children[place] || null);
  });
}

// -- the list -------------------------------------------------------------------------------

const box = document.getElementById("filter");
const only = document.getElementById("only-attention");

function filter() {
  if (!box) return;
  const sought = box.value.trim().toLowerCase();
  let shown = 0;
  const rows = document.querySelector("[data-rows]").children;
  for (const row of rows) {
    row.hidden = !row.textContent.toLowerCase().includes(sought)
      || (only.checked && !row.classList.contains("warn"));
    if (!row.hidden) shown += 1;
  }
  found(sought || only.checked ? `${shown} of ${rows.length}` : "");
}

function found(text) {
  const place = document.getElementById("found");
  if (place.textContent !== text) place.textContent = text;
}

if (box) {
  box.addEventListener("input", () => {
    filter();
    history.replaceState(null, "", box.value ? `?q=${encodeURIComponent(box.value)}` : "/");
  });
  only.addEventListener("change", filter);
  box.form.addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/INPUT|TEXTAREA/.test(document.activeElement.tagName)) {
      event.preventDefault();
      box.focus();
    }
  });
}

// -- times ----------------------------------------------------------------------------------

function words(seconds) {
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= size) return `${Math.round(seconds / size)} ${unit}`;
  }
  return `${Math.round(seconds)} s`;
}

function tick() {
  for (const time of document.querySelectorAll("time")) {
    const at = new Date(time.dateTime);
    const passed = (Date.now() - at) / 1000;
    const text = passed >= 0 ? `${words(passed)} ago` : `in ${words(-passed)}`;
    if (time.textContent !== text) time.textContent = text;
    time.title = at.toLocaleString();
  }
}

// -- the output of an operation -------------------------------------------------------------

const output = document.getElementById("output");
const MOST_LINES = 5000;
let lines = [];

function addLine({ source, line }) {
  if (!lines.length) requestAnimationFrame(showLines);
  lines.push(`${source} | ${line}\n`);
}

function showLines() {
  const atEnd = output.scrollTop + output.clientHeight >= output.scrollHeight - 30;
  output.append(...lines);
  lines = [];
  while (output.childNodes.length > MOST_LINES) output.firstChild.remove();
  if (atEnd) output.scrollTop = output.scrollHeight;
}

// -- the chart ------------------------------------------------------------------------------

const chart = document.querySelector("[data-chart]");
let points = [];

function addPoints(news) {
  if (news.begin) points = [];
  points.push(...news.points);
  redraw();
}

function redraw() {
  if (points.some((point) => point.slots)) requestAnimationFrame(() => draw(chart, points));
}

if (chart) addEventListener("resize", redraw);

// -- a page without a stream -----------------------------------------------------------------

// It is asked for again, and what it shows is replaced: whoever reads it stays where they are.
async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href);
    if (!answer.ok) throw new Error(answer.statusText);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
    const shown = document.getElementById("main");
    tell("");
    if (fresh.innerHTML === shown.innerHTML) return;
    shown.replaceChildren(...fresh.childNodes);
    say.textContent = shown.querySelector("h1").textContent;
  } catch {
    tell("No connection: what is shown may be old. Trying again …", "warn");
  }
}

if (page.refresh) setInterval(refresh, page.refresh * 1000);

// -- at last --------------------------------------------------------------------------------

for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", () => form.querySelector("button").setAttribute("aria-busy", "true"));
}
filter();
tick();
setInterval(tick, 1000);
if (page.stream) {
  connect();
  // A tab that nobody sees needs no connection, of which a browser has few.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      clearTimeout(again);
      stream.close();
    } else connect();
  });
}
