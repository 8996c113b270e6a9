/**
 * What the keys do, and what the colours mean.
 *
 * Covers: the box that `?` opens. Does not cover: the keys themselves.
 */

import { button, el } from "./dom.js";

const KEYS = [
  ["↑ ↓", "previous, next row"],
  ["→ ←", "open, close; to the first below, to the one above"],
  ["Home End", "first, last row"],
  ["Enter", "read the details"],
  ["Esc", "back to the tree"],
  ["*", "open all rows of this level"],
  ["/", "search all texts; Enter and Shift+Enter go on and back, also n and N"],
  ["f", "only problems, or everything"],
  ["+ − 0", "less time, more time, all of it"],
  ["[ ]", "earlier, later"],
  ["?", "this help"],
];
const BARS = [
  ["work", "a model call at work"],
  ["wait", "waiting: for a slot, or to try again"],
  ["failed", "an attempt that failed"],
  ["ahead", "sent ahead, before the code made the call"],
  ["wasted", "sent ahead and never used"],
  ["code", "code running"],
];

/** The box; `open()` shows it. */
export class HelpBox {
  constructor() {
    const keys = el(
      "dl",
      { class: "keys" },
      KEYS.flatMap(([key, what]) => [
        el(
          "dt",
          {},
          key.split(" ").map((each) => el("kbd", { text: each })),
        ),
        el("dd", { text: what }),
      ]),
    );
    const bars = el(
      "ul",
      { class: "plain legend" },
      BARS.map(([kind, what]) => el("li", {}, el("span", { class: "lane" }, el("i", { class: `bar ${kind}` })), what)),
    );
    this.element = el(
      "dialog",
      { class: "help", "aria-labelledby": "help-title" },
      el("h2", { id: "help-title", text: "Keys" }),
      keys,
      el("h2", { text: "The time line" }),
      bars,
      el("p", {
        class: "muted",
        text: "In the strip above the tree: model calls in flight, code below them, problems as red marks. Drag over it to look at a stretch of time.",
      }),
      button("Close", () => this.element.close(), { class: "primary" }),
    );
  }

  open() {
    this.element.showModal();
  }
}
