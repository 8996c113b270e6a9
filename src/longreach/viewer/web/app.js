/**
 * The page.
 *
 * Covers: which view the address names, API keys, light and dark, help, errors. Does not cover: the views.
 *
 * Addresses: '#' the list of runs, '#run=ID&node=ID' one run, '#run=ID&with=ID' two.
 */

import { CompareView } from "./compare.js";
import { button, el } from "./dom.js";
import { clean } from "./format.js";
import { HelpBox } from "./help.js";
import { RunList } from "./runlist.js";
import { RunView } from "./runview.js";
import { EmbeddedSource, NeedsKey, Server } from "./sources.js";
import { themeButton } from "./theme.js";

const KEY = "longreach-api-key";

class App {
  constructor() {
    this._mode = document.documentElement.dataset.mode;
    this._server = new Server(this._mode === "serve" ? (sessionStorage.getItem(KEY) ?? "") : "");
    this._view = null;
    this._main = el("main", { id: "main" });
    this._said = el("div", { class: "said", role: "alert" });
    this._help = new HelpBox();
    this._keyButton = button("API key", () => this._askKey(""), { hidden: this._mode !== "serve" });
    const home = el("a", { class: "brand", href: "#", text: "Longreach" });
    const bar = el(
      "div",
      { class: "bar", role: "banner" },
      this._mode === "export" ? el("span", { class: "brand", text: "Longreach" }) : home,
      el("span", { class: "space" }),
      this._keyButton,
      themeButton(),
      button("?", () => this._help.open(), { "aria-label": "Help", title: "Help (?)" }),
    );
    document.body.replaceChildren(
      el("a", { class: "skip", href: "#main", text: "To the content", onclick: (event) => this._skip(event) }),
      bar,
      this._said,
      this._main,
      this._help.element,
    );
    document.addEventListener("keydown", (event) => this._key(event));
    addEventListener("hashchange", () => this._route());
  }

  async start() {
    if (this._mode === "export") {
      const id = document.documentElement.dataset.run;
      await this._open(new RunView({ source: new EmbeddedSource(), id }));
      return;
    }
    const { first } = document.documentElement.dataset;
    if (first && location.hash.length < 2) history.replaceState(null, "", first);
    await this._route();
  }

  async _route() {
    const address = new URLSearchParams(location.hash.slice(1));
    const [run, other] = [address.get("run"), address.get("with")];
    if (run && run === this._shown && !other) return; // a node of the run that is open
    this._shown = other ? null : run;
    if (run && other)
      await this._open(
        new CompareView({ runs: [run, other].map((id) => ({ id, source: this._server.source(id) })), linkTo }),
      );
    else if (run)
      await this._open(
        new RunView({
          source: this._server.source(run),
          id: run,
          server: this._mode === "serve" ? this._server : null,
          onNode: (node) => history.replaceState(null, "", linkTo(run, node)),
        }),
        address.get("node") ?? "",
      );
    else
      await this._open(
        new RunList({
          server: this._server,
          linkTo,
          go: ([one, two]) => (location.hash = `run=${encodeURIComponent(one)}&with=${encodeURIComponent(two)}`),
        }),
      );
  }

  async _open(view, ...wanted) {
    this._view?.close();
    this._view = view;
    this._said.textContent = "";
    this._main.replaceChildren(view.element);
    try {
      await view.load(...wanted);
    } catch (error) {
      if (this._view !== view) return;
      if (error instanceof NeedsKey) this._askKey(this._server.key ? error.message : "");
      else this._said.textContent = clean(error.message);
    }
  }

  /** Ask for the API key; it stays in this tab until the tab is closed. */
  _askKey(problem) {
    this._view?.close();
    this._shown = null;
    const field = el("input", {
      type: "password",
      name: "key",
      autocomplete: "off",
      placeholder: "lr-…",
      required: true,
      "aria-describedby": "key-why",
    });
    const form = el(
      "form",
      { class: "key-form", onsubmit: (event) => this._takeKey(event, field.value.trim()) },
      el("h1", { text: "API key" }),
      el("p", {
        id: "key-why",
        text: "This server shows a key's runs to who has the key. It is kept in this tab until the tab is closed, and sent to this server alone.",
      }),
      problem ? el("p", { class: "bad", role: "alert", text: clean(problem) }) : null,
      el("label", {}, "Key", field),
      el("button", { type: "submit", class: "primary", text: "Show my runs" }),
    );
    this._main.replaceChildren(form);
    field.focus();
  }

  _takeKey(event, key) {
    event.preventDefault();
    this._server.key = key;
    sessionStorage.setItem(KEY, key);
    this._route();
  }

  _skip(event) {
    event.preventDefault();
    this._main.querySelector("[tabindex], a, button, input")?.focus();
  }

  _key(event) {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
    if (document.querySelector("dialog[open]") || event.target.closest?.("input, select, textarea")) return;
    if (event.key === "?") this._help.open();
    else if (!this._view?.key(event)) return;
    event.preventDefault();
  }
}

function linkTo(run, node = "") {
  return `#run=${encodeURIComponent(run)}${node ? `&node=${encodeURIComponent(node)}` : ""}`;
}

new App().start();
