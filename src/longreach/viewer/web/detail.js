/**
 * One node in full.
 *
 * Covers: what is shown of a run, a step, a group of sub-calls, a call, code, what code did, a note. Does not cover: how texts are shown
 * (texts.js), the tree (tree.js).
 */

import { button, el } from "./dom.js";
import { count, dollars, moment, number, oneLine, seconds, tokens, words } from "./format.js";
import { contextLine, factList, meter, modelsLine, spending, table } from "./facts.js";
import { TextBlock, markAll } from "./texts.js";
import { cost, groupLine, headline, marks, name, state, total, trouble } from "./wording.js";

const LISTED = 8; // slowest or failed calls of a group
const OPEN_MESSAGES = 2; // of a prompt, the last ones

/** Shows nodes; `onGo(node)` is called when another one is asked for. */
export class Detail {
  constructor({ source, heads, onGo, clock }) {
    Object.assign(this, { _source: source, _heads: heads, _onGo: onGo, _clock: clock });
    this.node = null;
    this._shown = "";
    this.element = el("div", { class: "detail", tabindex: "0", role: "region", "aria-label": "Details" });
  }

  /** Show a node, and mark what is searched for in its texts. */
  async show(node, wanted = "") {
    this.node = node;
    this._blocks = [];
    this._wanted = wanted;
    const { missing } = this._heads;
    const body = SHOWN[node.kind].call(this, node);
    this.element.replaceChildren(this._head(node), ...body.flat().filter(Boolean));
    this._incomplete = this._heads.missing > missing;
    this._shown = this._key(node, wanted);
    this.element.scrollTop = 0;
    const blocks = this._blocks;
    await Promise.all(blocks.map((each) => each.ready));
    if (this.node === node && blocks === this._blocks) this._mark(wanted);
  }

  /** Show the node anew if it has changed since. */
  refresh() {
    if (!this.node || this._key(this.node, this._wanted) === this._shown) return;
    const { scrollTop } = this.element;
    this.show(this.node, this._wanted);
    this.element.scrollTop = scrollTop;
  }

  _key(node, wanted) {
    return [
      this._incomplete ? this._heads.version : "",
      node.id,
      node.status,
      wanted,
      node.children.length,
      node.kind === "call" ? 0 : node.sums.answered + node.sums.failed,
    ].join("|");
  }

  _mark(wanted) {
    const first = markAll(this.element, wanted);
    if (!first) return;
    first.startContainer.parentElement.closest("details")?.setAttribute("open", "");
    const [box, place] = [this.element.getBoundingClientRect(), first.getBoundingClientRect()];
    this.element.scrollTop += place.top - box.top - box.height / 3;
  }

  _head(node) {
    const crumbs = [...node.lineage()]
      .reverse()
      .filter((each) => each !== node && !(each.kind === "step" && each.number === 0));
    const path = crumbs.flatMap((each) => [
      button(name(each), () => this._onGo(each), { class: "crumb" }),
      el("span", { class: "muted", "aria-hidden": "true", text: " › " }),
    ]);
    const badges = [state(node), ...marks(node)]
      .filter(Boolean)
      .map((text) => el("span", { class: `mark ${text.split(" ")[0]}`, text }));
    return el(
      "header",
      { class: "detail-head" },
      el("nav", { "aria-label": "Where this is" }, path),
      el("h2", {}, name(node), " ", badges),
      el("p", { class: "muted", text: headline(node, this._heads) }),
    );
  }

  /** A titled text; nothing where there is none. */
  _text(title, value, style = "plain") {
    if (value === null || value === undefined || value === "") return null;
    const block = new TextBlock(value, { title, style, source: this._source, wanted: this._wanted });
    this._blocks.push(block);
    return block.element;
  }

  _warning(call) {
    const problem = trouble(call, this._heads);
    return problem ? el("p", { class: "bad", text: problem }) : null;
  }

  _link(node, text) {
    return button(text, () => this._onGo(node), { class: "link" });
  }

  _times(node) {
    return { began: `${seconds(node.began)} after the start`, took: seconds(node.seconds(this._clock())) };
  }

  _amounts(node) {
    const { sums } = node;
    return {
      tokens: total(sums) ? `${number(sums.input)} in, ${number(sums.output)} out` : "",
      cost: total(sums) ? dollars(cost(sums)) : "",
    };
  }

  _prompt(node) {
    const { messages = [] } = node.event;
    const fresh = node.fresh ?? 0;
    const message = (each, index) => {
      const open = messages.length - index <= OPEN_MESSAGES && index >= fresh;
      return this._message(each, open || messages.length === 1);
    };
    const before = messages.slice(0, fresh).map(message);
    const shown = messages.map(message).slice(fresh);
    const earlier = before.length
      ? [this._folded(`${count(before.length, "earlier message")} as in the step before`, before)]
      : [];
    return el(
      "section",
      { class: "prompt", "aria-label": "Prompt" },
      el("h3", { text: `Prompt: ${count(messages.length, "message")}` }),
      earlier,
      shown,
    );
  }

  _message({ role, content }, open) {
    if (open) return this._text(role, content, "prose");
    return this._folded(`${role}: ${oneLine(this._heads.of(content), 90)}`, () => [this._text(role, content, "prose")]);
  }

  /** What is made, if a function, only when it is opened; all at once where something is searched for. */
  _folded(title, content) {
    const details = el("details", {}, el("summary", { text: title }));
    const fill = () => details.append(...(typeof content === "function" ? content() : content).filter(Boolean));
    if (typeof content === "function" && !this._wanted) details.addEventListener("toggle", fill, { once: true });
    else fill();
    return details;
  }
}

const SHOWN = {
  run(node) {
    const { event, end, sandbox } = node;
    const layers = sandbox?.layers ?? [];
    const settings = Object.entries(event.settings ?? {}).map(([key, value]) => [
      words(key),
      typeof value === "object" ? JSON.stringify(value) : String(value),
    ]);
    return [
      node.parent ? el("div", { class: "meters" }, spending(node, this._clock()).map(meter)) : null,
      this._text("Question", event.query, "prose"),
      end ? this._text(answerTitle(end), end.text, "prose") : null,
      end && !end.text ? el("p", { class: "muted", text: "It has no answer." }) : null,
      end?.reason ? this._text("Why it ended so", end.reason) : null,
      factList({
        strategy: event.strategy,
        models: modelsLine(event.models ?? {}),
        context: contextLine(event.context ?? {}),
        budget: Object.entries(event.budget ?? {})
          .map(([key, value]) => `${key} ${value}`)
          .join(", "),
        left: spending(node, this._clock())
          .map((each) => each.left && `${each.name}: ${each.left.replace(" left", "")}`)
          .filter(Boolean)
          .join(", "),
        began: node.parent ? `${seconds(node.began)} after the start` : moment(event.time),
        took: seconds(node.seconds(this._clock())),
        calls: node.sums.calls ? groupLine(node.sums).replace("sub-call", "call") : "",
        ...this._amounts(node),
        sandbox: sandbox
          ? `${sandbox.backend}: ${layers
              .filter((each) => each.active)
              .map((each) => each.name)
              .join(", ")}`
          : "",
        "not active": layers
          .filter((each) => !each.active)
          .map((each) => `${each.name} (${each.detail})`)
          .join(", "),
      }),
      modelTable(end?.usage),
      settings.length ? this._folded("Settings", [factList(Object.fromEntries(settings))]) : null,
      event.context?.text
        ? this._folded(`Context: ${contextLine(event.context)}`, () => [this._text("Context", event.context.text)])
        : null,
    ];
  },

  step(node) {
    const replied = node.children.some((each) => each.kind === "reply" && each.end?.text !== undefined);
    const parts = node.children.flatMap((child) => {
      switch (child.kind) {
        case "reply":
          return [child.end?.text !== undefined ? this._text("Reply", child.end.text, "prose") : this._warning(child)];
        case "code":
          return [replied ? null : this._text("Code", child.event.code, "code")]; // the reply shows it
        case "group":
          return [el("p", {}, this._link(child, groupLine(child.sums)), ` ${tokens(total(child.sums))} tokens`)];
        case "call":
        case "run":
          return [el("p", {}, this._link(child, `${name(child)}: ${headline(child, this._heads)}`))];
        case "output":
          return SHOWN.output.call(this, child, true);
        default:
          return SHOWN.note.call(this, child);
      }
    });
    return [factList({ ...this._times(node), ...this._amounts(node) }), ...parts];
  },

  group(node) {
    const times = node.children
      .filter((each) => each.ended !== null && !each.end?.reused_from)
      .map((each) => each.seconds(0))
      .sort((one, other) => one - other);
    const at = (share) =>
      times.length ? seconds(times[Math.min(times.length - 1, Math.floor(share * times.length))]) : "";
    const failed = node.children.filter((each) => each.status === "failed");
    const slow = [...node.children]
      .sort((one, other) => other.seconds(this._clock()) - one.seconds(this._clock()))
      .slice(0, LISTED);
    const list = (title, calls) =>
      calls.length
        ? el(
            "section",
            {},
            el("h3", { text: title }),
            el(
              "ul",
              { class: "plain" },
              calls
                .slice(0, LISTED)
                .map((each) =>
                  el(
                    "li",
                    {},
                    el("span", { class: "amount", text: seconds(each.seconds(this._clock())) }),
                    this._link(each, headline(each, this._heads)),
                  ),
                ),
            ),
          )
        : null;
    return [
      factList({
        calls: groupLine(node.sums),
        ...this._amounts(node),
        "shortest, median": times.length ? `${at(0)}, ${at(0.5)}` : "",
        "95%, longest": times.length ? `${at(0.95)}, ${at(1)}` : "",
      }),
      list(`Failed (${number(failed.length)})`, failed),
      list("Slowest", slow),
    ];
  },

  call(node) {
    const { event, end, ahead } = node;
    const reserved = event.reserved ?? {};
    const usage = end?.usage ?? {};
    return [
      factList({
        call: event.call,
        model: event.model,
        purpose: event.purpose,
        ...this._times(node),
        "waited for its turn": event.waited_seconds ? seconds(event.waited_seconds) : "",
        latency: end?.latency === undefined ? "" : seconds(end.latency),
        tokens:
          Object.entries(usage)
            .filter(([, value]) => value)
            .map(([key, value]) => `${number(value)} ${words(key).replace(" tokens", "")}`)
            .join(", ") + (end?.usage_estimated ? " (estimated)" : ""),
        cost: end && end.cost_usd !== undefined ? dollars(end.cost_usd === null ? null : Number(end.cost_usd)) : "",
        reserved: reserved.tokens
          ? `${number(reserved.tokens)} tokens${Number(reserved.usd) ? `, ${dollars(Number(reserved.usd))}` : ""}`
          : "",
        "stopped by": end?.stop_reason ?? "",
        "answered by": end?.reused_from
          ? end.reused_from === "cache"
            ? "the cache of earlier runs"
            : `the equal call ${end.reused_from}`
          : "",
        "sent ahead": ahead
          ? node.wasted
            ? "yes, and never used"
            : node.claimed === undefined
              ? "yes"
              : `yes; the code made it at ${seconds(node.claimed)}`
          : "",
        parameters: Object.entries(event.parameters ?? {})
          .map(([key, value]) => `${words(key)} ${typeof value === "object" ? JSON.stringify(value) : value}`)
          .join(", "),
      }),
      this._warning(node),
      node.retries.length
        ? table(
            ["At", "Error", "What it said", "Waited", "Charged"],
            node.retries.map((each) => [
              seconds(each.at),
              each.error,
              oneLine(this._heads.of(each.message), 400),
              seconds(each.delay),
              each.possibly_charged ? "possibly" : "no",
            ]),
            { numeric: [0, 3], label: "Attempts that failed" },
          )
        : null,
      this._text("Reply", end?.text, "prose"),
      this._text("Reasoning", end?.reasoning, "prose"),
      this._prompt(node),
    ];
  },

  reply(node) {
    return SHOWN.call.call(this, node);
  },

  code(node) {
    const output = node.parent.children.find((each) => each.code === node);
    return [
      factList(this._times(node)),
      this._text("Code", node.event.code, "code"),
      ...(output ? SHOWN.output.call(this, output, true) : []),
    ];
  },

  output(node, brief = false) {
    const { event } = node;
    const variables = event.variables ?? [];
    return [
      brief
        ? null
        : factList({
            status: words(event.status),
            ran: seconds(event.seconds),
            confidence: event.confidence === null || event.confidence === undefined ? "" : String(event.confidence),
          }),
      event.error
        ? this._text(
            `Error: ${event.error.type}`,
            event.error.traceback || `${event.error.type}: ${this._heads.of(event.error.message)}`,
          )
        : null,
      this._text(
        event.dropped_chars ? `Output (${count(event.dropped_chars, "character")} dropped)` : "Output",
        event.output,
      ),
      this._text("Submitted answer", event.final, "prose"),
      this._text("Draft of an answer", event.draft, "prose"),
      variables.length
        ? table(
            ["Variable", "Type", "Size"],
            variables.map((each) => [String(each.name), String(each.type), String(each.size ?? "")]),
            { label: "Variables" },
          )
        : null,
      event.lost && Object.keys(event.lost).length
        ? table(
            ["Lost variable", "Why"],
            Object.entries(event.lost).map(([key, why]) => [key, String(why)]),
            { label: "Lost variables" },
          )
        : null,
    ];
  },

  note(node) {
    const { event } = node;
    return [
      el("p", { class: node.trouble ? "warn" : "", text: headline(node, this._heads) }),
      this._text("What the model was told", event.event === "step.corrected" ? event.message : ""),
      this._text("Summary", event.event === "history.compacted" ? event.text : "", "prose"),
    ];
  },
};

function answerTitle({ status, confidence }) {
  const sure = confidence === null || confidence === undefined ? "" : `, confidence ${confidence.toFixed(2)}`;
  return `Answer (${status}${sure})`;
}

function modelTable(usage) {
  const models = Object.entries(usage?.by_model ?? {});
  if (!models.length) return null;
  const rows = models.map(([model, each]) => [
    model,
    number(each.calls ?? 0),
    number(each.input_tokens ?? 0),
    number(each.output_tokens ?? 0),
    dollars(each.cost_usd === null || each.cost_usd === undefined ? null : Number(each.cost_usd)),
  ]);
  return table(["Model", "Calls", "Tokens in", "Tokens out", "Cost"], rows, { numeric: [1, 2, 3, 4], label: "Models" });
}
