/**
 * Light and dark.
 *
 * Covers: the button that goes from what the system says to light to dark, remembered where the browser lets it be. Does not cover: colours
 * (page.css).
 */

import { button } from "./dom.js";

const KEY = "longreach-theme";
const NEXT = { auto: "light", light: "dark", dark: "auto" };

/** The button; applies what was chosen before. */
export function themeButton() {
  let theme = stored();
  const made = button("", () => {
    theme = NEXT[theme];
    store(theme);
    apply();
  });
  const apply = () => {
    document.documentElement.dataset.theme = theme;
    made.textContent = { auto: "◐", light: "☀", dark: "☾" }[theme];
    made.setAttribute("aria-label", `Colours: ${theme}`);
    made.title = `Colours: ${theme}`;
    dispatchEvent(new Event("resize")); // what is drawn by hand is drawn anew
  };
  apply();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
  return made;
}

function stored() {
  try {
    const theme = localStorage.getItem(KEY);
    return theme in NEXT ? theme : "auto";
  } catch {
    return "auto"; // a browser that keeps nothing for files
  }
}

function store(theme) {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    return; // it holds for this page then
  }
}
