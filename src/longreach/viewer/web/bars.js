/**
 * The bars of the time line, one for each row.
 *
 * Covers: which stretch of time a bar shows and how it is cut into attempts, waits and work; sub-calls of a closed group as a profile of how
 * many were in flight. Does not cover: the strip above the tree (overview.js).
 */

import { el } from "./dom.js";

const SLICES = 60; // of a group's profile
const LEAST = 0.0015; // of the width, so that a short one can be seen

/** The pieces of a node's bar: {from, to, kind}, in seconds; kinds: work, wait, failed, ahead, run, step, code. */
export function pieces(node, now) {
  const end = node.ended ?? now;
  switch (node.kind) {
    case "reply":
    case "call":
      return callPieces(node, end);
    case "code":
      return [{ from: node.began, to: end, kind: "code" }];
    case "output":
    case "note":
      return [
        { from: node.ended ?? node.began, to: node.ended ?? node.began, kind: node.trouble ? "failed" : "point" },
      ];
    default:
      return [{ from: node.began, to: end, kind: node.kind }];
  }
}

function callPieces(node, end) {
  const done =
    node.status === "failed" || node.status === "lost"
      ? "failed"
      : node.ahead
        ? node.wasted
          ? "wasted"
          : "ahead"
        : "work";
  const found = [];
  const queued = node.ahead ? 0 : (node.event?.waited_seconds ?? 0);
  if (queued) found.push({ from: Math.max(0, node.began - queued), to: node.began, kind: "wait" });
  let from = node.began;
  for (const retry of node.retries) {
    found.push({ from, to: retry.at, kind: "failed" });
    from = Math.min(end, retry.at + retry.delay);
    found.push({ from: retry.at, to: from, kind: "wait" });
  }
  const worked = node.end?.latency;
  if (!node.retries.length && !node.ahead && worked !== undefined && node.ended !== null && end - worked > from) {
    found.push({ from, to: end - worked, kind: "wait" });
    from = end - worked;
  }
  found.push({ from, to: end, kind: done });
  return found;
}

/** Draw a node's bar into `holder`. `window`: {from, to} in seconds. */
export function drawBar(holder, node, window, now) {
  const span = window.to - window.from || 1;
  const scale = (time) => Math.min(1, Math.max(0, (time - window.from) / span));
  const shown =
    node.kind === "group" ? [] : pieces(node, now).filter((each) => each.to >= window.from && each.from <= window.to);
  const elements = shown.map((each) => place(el("i", { class: `bar ${each.kind}` }), scale(each.from), scale(each.to)));
  if (node.kind === "group") elements.push(...profile(node, window, now, scale));
  if (node.status === "running" && elements.length) elements.at(-1).classList.add("open");
  holder.replaceChildren(...elements);
}

function place(element, from, to) {
  element.style.left = `${(100 * from).toFixed(3)}%`;
  element.style.width = `${(100 * Math.max(LEAST, to - from)).toFixed(3)}%`;
  return element;
}

/** How many of a group's calls were in flight, slice by slice. */
function profile(group, window, now, scale) {
  const from = group.children[0]?.began ?? group.began;
  const to = group.sums.open ? now : (group.ended ?? now);
  const width = (to - from) / SLICES || 1e-9;
  const counts = inFlight(group.children, from, width, SLICES, now);
  const most = Math.max(1, ...counts);
  return counts
    .map((value, index) => ({ value, at: from + index * width }))
    .filter(({ value, at }) => value > 0.01 && at + width >= window.from && at <= window.to)
    .map(({ value, at }) => {
      const element = place(el("i", { class: "bar slice" }), scale(at), scale(at + 1.05 * width)); // no gap between two
      element.style.height = `${Math.max(12, (78 * value) / most).toFixed(0)}%`;
      return element;
    });
}

/** How many calls were in flight on average in each of `slices` stretches of `width` seconds after `from`. */
export function inFlight(calls, from, width, slices, now) {
  const levels = new Float64Array(slices + 1); // changes from one slice to the next, then levels
  const parts = new Float64Array(slices); // of slices that a call fills in part
  for (const call of calls) {
    const began = Math.max(0, (call.began - from) / width);
    const ended = Math.min(slices, ((call.ended ?? now) - from) / width);
    if (ended <= began) continue;
    const [first, last] = [Math.floor(began), Math.min(slices - 1, Math.floor(ended))];
    if (first === last) parts[first] += ended - began;
    else {
      parts[first] += first + 1 - began;
      parts[last] += ended - last;
      levels[first + 1] += 1;
      levels[last] -= 1;
    }
  }
  let level = 0;
  return Array.from(parts, (part, index) => (level += levels[index]) + part);
}

/** The most calls that were in flight at one moment. */
export function mostInFlight(calls, now) {
  const began = Float64Array.from(calls, (call) => call.began).sort();
  const ended = Float64Array.from(calls, (call) => call.ended ?? now).sort();
  let most = 0;
  let over = 0;
  began.forEach((time, index) => {
    while (ended[over] <= time) over += 1;
    most = Math.max(most, index + 1 - over);
  });
  return most;
}

/** Round seconds for the marks of an axis: about `wanted` of them over the window. */
export function ticks(window, wanted) {
  const rough = (window.to - window.from) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((each) => each * power >= rough) ?? 10);
  const found = [];
  for (let at = Math.ceil(window.from / step) * step; at <= window.to + 1e-9; at += step)
    found.push(Number(at.toPrecision(12)));
  return found;
}
