/**
 * Cancelling a run that goes on, and going on with one that was interrupted.
 *
 * Covers: which of the two the server would do now, asking first, what became of it; a larger budget where it was spent. Does not cover:
 * following the run (runview.js), the requests (sources.js).
 */

import { button, el, setText } from "./dom.js";
import { clean } from "./format.js";

const GOES_ON = new Set(["queued", "running"]);
const LIMITS = { usd: "US dollars", tokens: "Tokens", calls: "Calls", seconds: "Seconds", steps: "Steps" };
const QUEUED_MS = 2_000;

/** What can be done now with a run as the server has it: 'cancel', 'resume', 'enlarge' (resume with more) or ''. */
function possible(run, begun) {
  if (GOES_ON.has(run.status)) return "cancel";
  if (!begun || run.status === "complete") return "";
  return run.status === "partial" && run.reason !== "cancelled" ? "enlarge" : "resume";
}

/**
 * The buttons. `server`: the API; `id`: the run's; `budget()`: what it may use, null before it has begun. `onResumed()`: it goes on.
 */
export class RunControl {
  constructor({ server, id, budget, onResumed }) {
    Object.assign(this, { _server: server, _id: id, _budget: budget, _onResumed: onResumed });
    this._timer = 0;
    this._asked = 0;
    this._cancel = button("Cancel run", () => this._asking.showModal(), { hidden: true });
    this._resume = button("Resume run", () => this._resumeOrAsk(), { hidden: true });
    this._said = el("span", { class: "control-said", role: "status" });
    this._asking = this._cancelBox();
    this._fields = el("div", { class: "limits" });
    this._enlarging = this._budgetBox();
    this.element = el(
      "div",
      { class: "control" },
      this._cancel,
      this._resume,
      this._said,
      this._asking,
      this._enlarging,
    );
  }

  /** Ask the server how the run is, and show what can be done. */
  async refresh() {
    clearTimeout(this._timer);
    this._asked += 1;
    const asked = this._asked;
    let run = { status: "complete" };
    try {
      run = await this._server.run(this._id);
    } catch {
      // nothing is offered then; the view itself says what is wrong
    }
    if (asked === this._asked) this._show(run); // else there is a newer answer, or one is coming
  }

  close() {
    clearTimeout(this._timer);
  }

  // --- what is shown

  _show(run) {
    if (run.status === "queued") this._timer = setTimeout(() => this.refresh(), QUEUED_MS);
    this._draw(possible(run, this._budget() !== null));
  }

  _draw(action) {
    this._action = action;
    const hadFocus = [this._cancel, this._resume].includes(document.activeElement);
    this._cancel.hidden = action !== "cancel";
    this._resume.hidden = action !== "resume" && action !== "enlarge";
    setText(this._resume, action === "enlarge" ? "Resume with more…" : "Resume run");
    if (action !== "cancel") this._asking.close();
    if (hadFocus) this._focus();
  }

  _focus() {
    [this._cancel, this._resume].find((each) => !each.hidden)?.focus();
  }

  _cancelBox() {
    return box(
      "cancel-title",
      "Cancel this run?",
      "Its calls end now; what they have cost is spent. It keeps its best answer so far, and can be resumed.",
      el(
        "div",
        { class: "choices" },
        button("Let it go on", () => this._asking.close(), { class: "primary", autofocus: true }),
        button("Cancel the run", () => this._end()),
      ),
    );
  }

  _budgetBox() {
    return box(
      "resume-title",
      "Resume with a larger budget",
      "For the whole run, what is spent included. What was answered is not paid again. The server and the key may allow less.",
      el(
        "form",
        { onsubmit: (event) => this._takeBudget(event) },
        this._fields,
        el(
          "div",
          { class: "choices" },
          el("button", { type: "submit", class: "primary", text: "Resume run" }),
          button("Leave it", () => this._enlarging.close()),
        ),
      ),
    );
  }

  // --- what people do

  async _end() {
    this._asking.close();
    const run = await this._do(this._cancel, "cancelling…", () => this._server.cancel(this._id));
    if (run) setText(this._said, run.reason === "cancelled" ? "cancelled" : "");
  }

  _resumeOrAsk() {
    if (this._action !== "enlarge") return this._goOn();
    const budget = this._budget();
    const limited = Object.keys(LIMITS).filter((name) => budget[name] !== undefined);
    this._fields.replaceChildren(...limited.map((name) => limitField(name, budget[name])));
    this._enlarging.showModal();
  }

  _takeBudget(event) {
    event.preventDefault();
    this._enlarging.close();
    const { depth, confidence } = this._budget();
    const budget = { depth, confidence };
    for (const field of this._fields.querySelectorAll("input"))
      budget[field.name] = field.name === "usd" ? field.value : Number(field.value);
    this._goOn(budget);
  }

  async _goOn(budget = null) {
    const run = await this._do(this._resume, "resuming…", () => this._server.resume(this._id, budget));
    if (!run) return;
    setText(this._said, "");
    this._onResumed();
  }

  /** The answer to a request; null when it failed, which is then said. */
  async _do(pressed, meanwhile, request) {
    const focused = document.activeElement === pressed;
    pressed.disabled = true;
    setText(this._said, meanwhile);
    this._said.classList.remove("bad");
    try {
      const run = await request();
      this._asked += 1;
      this._show(run);
      return run;
    } catch (error) {
      this._said.classList.add("bad");
      setText(this._said, clean(error.message));
      return null;
    } finally {
      pressed.disabled = false;
      if (focused) this._focus();
    }
  }
}

function box(id, title, text, content) {
  const head = el("h2", { id, text: title });
  return el("dialog", { class: "box", "aria-labelledby": id }, head, el("p", { text }), content);
}

function limitField(name, value) {
  const step = name === "usd" || name === "seconds" ? "any" : 1;
  return el("label", {}, LIMITS[name], el("input", { type: "number", name, value, step, min: 0, required: true }));
}
