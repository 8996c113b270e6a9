/**
 * One run on the page.
 *
 * Covers: joining tree, time line, details, search, totals and controls; following a run that goes on; the keys that hold for all of it. Does not
 * cover: those parts themselves.
 */

import { RunControl } from "./control.js";
import { button, el, oncePerFrame, setText } from "./dom.js";
import { Detail } from "./detail.js";
import { meter, modelsLine, spending } from "./facts.js";
import { clean, oneLine, seconds } from "./format.js";
import { Heads } from "./heads.js";
import { FILTERS, Outline } from "./outline.js";
import { Overview } from "./overview.js";
import { Search } from "./search.js";
import { splitter } from "./splitter.js";
import { Trajectory } from "./trajectory.js";
import { Tree } from "./tree.js";

const TICK_MS = 250; // how often a run that goes on is drawn anew
const QUIET_SECONDS = 60; // without an event, until the page says so
const STATES = {
  reading: "reading…",
  live: "live",
  reconnecting: "connection lost, trying again",
  stopped: "its process has ended, before the run did: longreach resume goes on",
};

/**
 * The view of one run. `server`: that can cancel and resume it, if there is one. `onNode(id)` is called when a node is chosen; `close()` ends
 * all that goes on.
 */
export class RunView {
  constructor({ source, id, server = null, onNode = () => {} }) {
    this._id = id;
    this._server = server;
    this._onNode = onNode;
    this._state = "reading";
    this._lastEvent = Date.now();
    this._follow = true;
    this._stop = new AbortController();
    this.trajectory = new Trajectory();
    this._source = source;
    this._makeParts();
    this._build();
    this._changed = oncePerFrame(() => this._update());
    this._timer = setInterval(() => this._tick(), TICK_MS);
  }

  /** Read the run to its end. Raises what the source raises. */
  async load(wantedNode = "") {
    this._wantedNode = wantedNode;
    this._control?.refresh();
    await this._read();
  }

  close() {
    this._stop.abort();
    this._control?.close();
    clearInterval(this._timer);
  }

  async _read() {
    await this._source.records(
      (records) => this._take(records),
      (state) => this._stands(state),
      this._stop.signal,
    );
  }

  _stands(state) {
    const before = this._state;
    this._state = state;
    this.trajectory.stands = state !== "live" && state !== "reconnecting";
    if (state !== before) this._control?.refresh();
    this._changed();
  }

  /** The run goes on; where it had ended, nothing is read any more. */
  _resumed() {
    if (this._state !== "done") return;
    this._state = "reading";
    this._read().catch((error) => setText(this._live, clean(error.message)));
  }

  /** A key that no part of the page has taken. Whether it did something. */
  key(event) {
    const nowhere = event.target === document.body; // nothing has the focus: arrows are for the tree
    const action = {
      ArrowDown: nowhere && (() => this._tree.list.focus()),
      ArrowUp: nowhere && (() => this._tree.list.focus()),
      "/": () => this._search.focus(),
      "+": () => this._overview.zoom(0.5),
      "=": () => this._overview.zoom(0.5),
      "-": () => this._overview.zoom(2),
      0: () => this._overview.choose(null),
      "[": () => this._overview.shift(-0.5),
      "]": () => this._overview.shift(0.5),
      f: () => this._setFilter(this._outline.filter === "trouble" ? "all" : "trouble"),
      n: () => this._search.go(1),
      N: () => this._search.go(-1),
      Escape: () => this._back(),
    }[event.key];
    if (action) action();
    return Boolean(action);
  }

  // --- parts

  _makeParts() {
    const clock = () => this.trajectory.now(Date.now() / 1000);
    this._clock = clock;
    this._heads = new Heads(this._source, () => {
      this._tree.draw();
      this._detail.refresh();
      if (this.trajectory.root) this._drawHead(this.trajectory.root);
    });
    this._outline = new Outline();
    this._tree = new Tree({
      trajectory: this.trajectory,
      outline: this._outline,
      heads: this._heads,
      clock,
      onSelect: (node) => this._selected(node),
      onOpen: (node) => this._opened(node),
    });
    this._overview = new Overview(this.trajectory, clock, (window) => {
      this._tree.window = window;
      this._tree.draw();
    });
    this._detail = new Detail({
      source: this._source,
      heads: this._heads,
      clock,
      onGo: (node) => this._tree.select(node),
    });
    this._search = new Search({
      trajectory: this.trajectory,
      source: this._source,
      onPlace: (node, query) => this._place(node, query),
    });
    this._control = this._server
      ? new RunControl({
          server: this._server,
          id: this._id,
          budget: () => this.trajectory.root && (this.trajectory.root.event.budget ?? {}),
          onResumed: () => this._resumed(),
        })
      : null;
  }

  _build() {
    this._title = el("span", { class: "run-id", text: clean(this._id) });
    this._status = el("span", { class: "mark" });
    this._live = el("span", { class: "following", role: "status" });
    this._about = el("span", { class: "about" });
    this._meters = el("div", { class: "meters" });
    this._question = el("p", { class: "question" });
    this._filter = el(
      "select",
      { "aria-label": "Show", onchange: () => this._setFilter(this._filter.value) },
      Object.entries(FILTERS).map(([value, { label }]) => el("option", { value, text: label })),
    );
    this._followBox = el("input", {
      type: "checkbox",
      checked: true,
      onchange: () => (this._follow = this._followBox.checked),
    });
    this._followLabel = el("label", { class: "follow" }, this._followBox, "Follow");
    const tools = el(
      "div",
      { class: "tools", role: "toolbar", "aria-label": "Tree" },
      this._filter,
      button("Open all", () => this._openAll(true)),
      button("Close all", () => this._openAll(false)),
      this._followLabel,
      this._search.element,
    );
    const left = el("section", { class: "tree-pane", "aria-label": "Steps" }, tools, this._tree.element);
    const back = button("‹ Back to the tree", () => this._back(), { class: "back" });
    const right = el("section", { class: "detail-pane", "aria-label": "Details" }, back, this._detail.element);
    this._split = el("div", { class: "split" }, left, splitter(left, "details"), right);
    const head = el(
      "header",
      { class: "run-head" },
      el("div", { class: "run-title" }, el("h1", {}, this._title, this._status, this._live), this._control?.element),
      el("div", { class: "run-about" }, this._question, this._about),
      this._meters,
    );
    this.element = el("div", { class: "run-view" }, head, this._overview.element, this._split);
  }

  // --- what comes

  _take(records) {
    for (const record of records) this.trajectory.add(record);
    if (records.length) this._lastEvent = Date.now();
    this._changed();
  }

  _tick() {
    if (!this.trajectory.over) this._changed();
  }

  _update() {
    const { root } = this.trajectory;
    this._drawLive();
    if (!root) return;
    const first = !this._tree.size;
    this._drawHead(root);
    this._tree.refresh();
    this._overview.draw();
    if (first) this._begin();
    else if (this._follow && !this.trajectory.over) this._followNewest();
    this._detail.refresh();
  }

  _begin() {
    const wanted = this.trajectory.nodes.get(this._wantedNode);
    this._tree.select(wanted ?? this.trajectory.root);
    document.title = `${oneLine(this._heads.of(this.trajectory.root.event.query), 60)} · Longreach`;
  }

  /** Keep the newest step in view, unless somebody looks at something else. */
  _followNewest() {
    const newest = this.trajectory.steps.at(-1);
    if (!newest || newest === this._followed) return;
    const chosen = this._tree.selected;
    if (this._followed && chosen !== this._followed && chosen !== this.trajectory.root) return;
    this._followed = newest;
    this._tree.select(newest);
  }

  _drawHead(root) {
    const { event } = root;
    setText(this._status, root.status);
    this._status.className = `mark ${root.status}`;
    setText(this._question, oneLine(this._heads.of(event.query), 400));
    setText(this._about, oneLine(`${event.strategy} · ${modelsLine(event.models ?? {})}`, 300));
    const amounts = spending(root, this._clock()).filter((each) => each.used || each.limit);
    const key = amounts.map((each) => each.text).join("|");
    if (this._meters.dataset.key !== key) {
      this._meters.dataset.key = key;
      this._meters.replaceChildren(...amounts.map(meter));
    }
  }

  _drawLive() {
    const quiet = Math.round((Date.now() - this._lastEvent) / 1000);
    const over = this._state === "done" || this.trajectory.over;
    this._followLabel.hidden = over;
    let said = over ? "" : STATES[this._state];
    if (!over && this._state === "live" && quiet >= QUIET_SECONDS)
      said = `no event for ${seconds(quiet - (quiet % QUIET_SECONDS))}: still at work, or killed`;
    if (this._state === "done" && !this.trajectory.over)
      said = this.trajectory.root
        ? "it has no end: the run was killed, or went on after this was made"
        : "the journal holds no run yet";
    setText(this._live, said);
    this._live.className = `following ${over ? "" : this._state}`;
  }

  // --- what people do

  _selected(node) {
    this._detail.show(node, this._search.query);
    this._onNode(node.id);
  }

  _opened(node) {
    if (this._tree.selected !== node) this._tree.select(node);
    this._split.classList.add("detail-open");
    this._detail.element.focus();
  }

  _back() {
    this._split.classList.remove("detail-open");
    this._tree.list.focus();
  }

  _place(node, query) {
    if (node) this._tree.select(node);
    else if (this._detail.node) this._detail.show(this._detail.node, query);
    this._filter.value = this._outline.filter;
  }

  _setFilter(name) {
    this._outline.filter = name;
    this._filter.value = name;
    this._tree.refresh();
  }

  _openAll(open) {
    this._outline.reset(this.trajectory, open);
    this._tree.refresh();
  }
}
