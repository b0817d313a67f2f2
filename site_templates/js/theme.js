// @ts-check
"use strict";
/* The reader's choice of theme in, the page in it out: as the system has it, dark or light. Runs before anything is drawn. */
mwv.theme = {
  /** "dark", "light" or "" for the system's. */
  get chosen() {
    try {
      return localStorage.getItem("mwv-theme") ?? "";
    } catch {
      return document.documentElement.dataset.theme ?? ""; // storage may be forbidden; the choice then lasts as long as the page
    }
  },

  /** Whether the page is dark now. */
  get dark() {
    return this.chosen ? this.chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  },

  /** @param {string} theme */
  choose(theme) {
    try {
      if (theme) localStorage.setItem("mwv-theme", theme);
      else localStorage.removeItem("mwv-theme");
    } catch {
      // see above
    }
    document.documentElement.dataset.theme = theme;
  },

  /** Make a button switch between dark and light. @param {HTMLElement} button */
  attach(button) {
    const name = () => {
      button.title = this.dark ? "Light theme" : "Dark theme";
      button.setAttribute("aria-label", button.title);
    };
    button.addEventListener("click", () => {
      this.choose(this.dark ? "light" : "dark");
      name();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", name);
    name();
  },
};
document.documentElement.dataset.theme = mwv.theme.chosen;
