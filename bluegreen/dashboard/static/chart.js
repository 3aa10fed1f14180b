// Draws requests and errors a second of both slots over the time of an operation.
"use strict";

const LEFT = 58;
const RIGHT = 12;
const PANELS = { rate: { top: 38, height: 130 }, failed: { top: 202, height: 50 } }; // marks are named above
const HIGH = 278;
const MOST_POINTS = 240; // in the width of a chart

function svg(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// Of many seconds, as many means as fit.
function thinned(seconds) {
  const each = Math.ceil(seconds.length / MOST_POINTS);
  if (each === 1) return seconds;
  const means = [];
  for (let from = 0; from < seconds.length; from += each) {
    const part = seconds.slice(from, from + each);
    const slots = {};
    for (const slot of ["blue", "green"]) {
      const mean = (what) => part.reduce((sum, one) => sum + (one.slots[slot]?.[what] || 0), 0) / part.length;
      slots[slot] = { rate: mean("rate"), failed: mean("failed") };
    }
    means.push({ ...part[part.length - 1], slots });
  }
  return means;
}

function nice(value) {
  if (value <= 0) return 1;
  const size = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * size).find((step) => step >= value);
}

// What the watch has in its window, and what it may not be.
function judged(watch) {
  const share = (part) => `${(part * 100).toFixed(2).replace(/\.?0+$/, "")} %`;
  const limits = watch.limits;
  const rate = limits.error_rate === null ? "" : ` (limit ${share(limits.error_rate)})`;
  let text = `Watched for ${Math.ceil(watch.left)} s more: ${share(watch.error_rate || 0)} of ${watch.requests} requests failed${rate}`;
  if (watch.p99 !== null) {
    const most = limits.p99 === null ? "" : ` (limit ${Math.round(limits.p99 * 1000)} ms)`;
    text += `, p99 ${Math.round(watch.p99 * 1000)} ms${most}`;
  }
  return text;
}

function draw(figure, points) {
  const WIDE = Math.max(figure.clientWidth, 260);
  const seconds = thinned(points.filter((point) => point.slots));
  const first = points[0].at;
  const last = Math.max(points[points.length - 1].at, first + 1);
  const x = (at) => LEFT + ((at - first) / (last - first)) * (WIDE - LEFT - RIGHT);
  const picture = svg("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, width: WIDE, height: HIGH, role: "img", "aria-labelledby": "chart-says" });
  const counts = (slot, what) => seconds.map((one) => one.slots[slot]?.[what] || 0);
  for (const [what, panel] of Object.entries(PANELS)) {
    const most = nice(Math.max(...counts("blue", what), ...counts("green", what)));
    const y = (value) => panel.top + panel.height * (1 - value / most);
    for (const value of [0, most / 2, most]) {
      picture.append(svg("line", { class: "grid", x1: LEFT, x2: WIDE - RIGHT, y1: y(value), y2: y(value) }));
      if (value || what === "rate") picture.append(svg("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, String(Number(value.toPrecision(2)))));
    }
    picture.append(svg("text", { class: "name", x: 0, y: panel.top - 12 }, what === "rate" ? "requests/s" : "errors/s"));
    for (const slot of ["blue", "green"]) {
      const path = seconds.map((one, place) => `${place ? "L" : "M"}${x(one.at).toFixed(1)} ${y(one.slots[slot]?.[what] || 0).toFixed(1)}`);
      picture.append(svg("path", { class: `line ${slot} ${what}`, d: path.join("") }));
    }
  }
  for (const mark of points.filter((point) => point.switch || point.share !== undefined)) {
    const text = mark.switch ? `to ${mark.switch}` : `${mark.share} %`;
    picture.append(svg("line", { class: "mark", x1: x(mark.at), x2: x(mark.at), y1: 16, y2: HIGH - 24 }));
    const right = x(mark.at) > WIDE - 90;
    picture.append(svg("text", { class: "mark", x: x(mark.at) + (right ? -5 : 5), y: 12, "text-anchor": right ? "end" : "start" }, text));
  }
  for (const part of [0, 0.5, 1]) {
    const at = first + (last - first) * part;
    const anchor = ["start", "middle", "end"][part * 2];
    picture.append(svg("text", { x: x(at), y: HIGH - 6, "text-anchor": anchor }, new Date(at * 1000).toLocaleTimeString()));
  }
  const now = seconds[seconds.length - 1].slots;
  const said = ["blue", "green"].filter((slot) => now[slot]).map((slot) => `${slot} ${now[slot].rate.toFixed(0)} requests/s, ${now[slot].failed.toFixed(1)} errors/s`);
  const caption = document.createElement("figcaption");
  caption.id = "chart-says";
  caption.textContent = said.join("; ");
  const watch = seconds[seconds.length - 1].judged;
  if (watch) caption.append(document.createElement("br"), judged(watch));
  const legend = document.createElement("p");
  legend.className = "legend";
  for (const slot of ["blue", "green"]) {
    const key = document.createElement("span");
    key.className = slot;
    key.textContent = slot;
    legend.append(key);
  }
  figure.replaceChildren(legend, picture, caption);
}
