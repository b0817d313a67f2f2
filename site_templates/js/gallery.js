// @ts-check
"use strict";
/*
 * The cards of the gallery in, a gallery to search, sort and filter out. What is chosen stands in the fragment of the address:
 * q, sort, and a filter for each value chosen. Without this script all cards are there, in the order of the page.
 */

/** What cards can be filtered by: its name in the address, its label, what a card has of it. */
mwv.FILTERS = [
  { key: "architecture", label: "Architecture", of: (facts) => (facts.architecture ? [facts.architecture] : []) },
  { key: "type", label: "Type", of: (facts) => facts.types },
  { key: "tag", label: "Tag", of: (facts) => facts.tags },
];

/** Orders by name in the address; without one, that of the page. */
mwv.ORDERS = {
  name: (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }),
  parameters: (a, b) => b.facts.parameters - a.facts.parameters,
  size: (a, b) => b.facts.bytes - a.facts.bytes,
  date: (a, b) => (a.facts.date < b.facts.date ? 1 : a.facts.date > b.facts.date ? -1 : 0),
};

/** One card: its element and facts, and the texts in which a query is looked for. */
mwv.Card = class {
  /** @param {HTMLElement} element */
  constructor(element) {
    this.element = element;
    this.link = /** @type {HTMLAnchorElement} */ (element.querySelector("a"));
    this.home = /** @type {HTMLElement} */ (element.parentElement);
    this.facts = JSON.parse(element.dataset.facts ?? "");
    this.name = this.facts.title;
    this.texts = [this.name, this.facts.architecture, ...this.facts.types, ...this.facts.tags].map(mwv.fuzzy.fold);
    this.values = Object.fromEntries(mwv.FILTERS.map(({ key, of }) => [key, of(this.facts)]));
    this.score = 0;
  }

  /**
   * How well a card fits words, each in one of its texts; null if one of them is nowhere. Letters far apart are no match.
   * @param {string[]} words
   */
  match(words) {
    let sum = 0;
    for (const word of words) {
      const scores = this.texts.map((text) => mwv.fuzzy.score([word], text) ?? 0);
      const best = Math.max(...scores);
      if (best < mwv.fuzzy.LETTER * word.length) return null;
      sum += best;
    }
    return sum;
  }
};

/** A row of toggles, one for each value that cards have of one kind. */
mwv.Filter = class {
  /**
   * @param {any} kind one of mwv.FILTERS
   * @param {any[]} cards
   * @param {() => void} changed
   */
  constructor(kind, cards, changed) {
    this.key = kind.key;
    /** @type {Set<string>} */
    this.chosen = new Set();
    const counts = new Map();
    for (const card of cards) for (const value of card.values[this.key]) counts.set(value, (counts.get(value) ?? 0) + 1);
    const values = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a) || a.localeCompare(b));
    /** Whether there is anything to choose. */
    this.useful = values.length > 1 || (values.length === 1 && counts.get(values[0]) < cards.length);
    this.toggles = values.map((value) => {
      const count = mwv.element("small");
      const button = /** @type {HTMLButtonElement} */ (mwv.element("button", { type: "button", "aria-pressed": "false" }, mwv.text.visible(value), " ", count));
      button.addEventListener("click", () => {
        if (!this.chosen.delete(value)) this.chosen.add(value);
        changed();
      });
      return { value, button, count };
    });
    const label = mwv.element("span", { id: `filter-${this.key}` }, kind.label);
    const buttons = this.toggles.map(({ button }) => button);
    this.element = mwv.element("div", { class: "filter", role: "group", "aria-labelledby": label.id }, label, ...buttons);
    const rare = buttons.slice(mwv.Filter.MOST);
    for (const button of rare) button.classList.add("rare");
    if (rare.length > 0) {
      const more = mwv.element("button", { type: "button", class: "more" }, `${rare.length} more`);
      more.addEventListener("click", () => {
        this.element.classList.add("open");
        rare[0].focus();
      });
      this.element.append(more);
    }
  }

  /** @param {any} card */
  passes(card) {
    return this.chosen.size === 0 || card.values[this.key].some((value) => this.chosen.has(value));
  }

  /** Show what is chosen, and how many of `cards`, which pass all other filters, have each value. @param {any[]} cards */
  show(cards) {
    for (const { value, button, count } of this.toggles) {
      const chosen = this.chosen.has(value);
      const having = cards.filter((card) => card.values[this.key].includes(value)).length;
      button.setAttribute("aria-pressed", String(chosen));
      button.disabled = having === 0 && !chosen;
      count.textContent = String(having);
    }
  }
};

/** Values of a filter that are shown before someone asks for more. */
mwv.Filter.MOST = 10;

mwv.Gallery = class {
  constructor() {
    const id = (name) => /** @type {any} */ (document.getElementById(name));
    this.cards = [...document.querySelectorAll(".card")].map((element) => new mwv.Card(/** @type {HTMLElement} */ (element)));
    this.groups = [...document.querySelectorAll(".group")];
    this.flat = /** @type {HTMLElement} */ (document.querySelector(".cards"));
    /** Cards that are shown, in their order. @type {any[]} */
    this.shown = this.cards;
    this.search = id("search");
    this.sort = id("sort");
    this.count = id("shown");
    this.nothing = id("nothing");
    this.panel = id("filters");
    this.filters = mwv.FILTERS.map((kind) => new mwv.Filter(kind, this.cards, () => this.changed())).filter(({ useful }) => useful);
    this.panel.querySelector(".all").append(...this.filters.map(({ element }) => element));
    this.panel.hidden = this.filters.length === 0;
    this.panel.open = matchMedia("(min-width: 721px)").matches;
    this.search.addEventListener("input", () => this.changed());
    this.sort.addEventListener("change", () => this.changed());
    id("reset").addEventListener("click", () => {
      this.read("");
      this.changed();
      this.search.focus();
    });
    document.addEventListener("keydown", (event) => this.key(event));
    addEventListener("hashchange", () => this.follow());
    this.follow();
  }

  /** Do what the address says. */
  follow() {
    this.read(location.hash.slice(1));
    this.show();
  }

  /** Take over the choices of a fragment; what it names and the page has not is left out. @param {string} fragment */
  read(fragment) {
    const parts = new URLSearchParams(fragment);
    this.search.value = parts.get("q") ?? "";
    this.sort.value = Object.hasOwn(mwv.ORDERS, parts.get("sort") ?? "") ? parts.get("sort") : "";
    if (this.sort.selectedIndex < 0) this.sort.selectedIndex = 0;
    for (const filter of this.filters) {
      const asked = parts.getAll(filter.key);
      filter.chosen = new Set(filter.toggles.map(({ value }) => value).filter((value) => asked.includes(value)));
    }
  }

  /** The fragment for what is chosen. */
  fragment() {
    const parts = new URLSearchParams();
    if (this.search.value.trim()) parts.set("q", this.search.value.trim());
    if (this.sort.value) parts.set("sort", this.sort.value);
    for (const { key, chosen } of this.filters) for (const value of chosen) parts.append(key, value);
    return parts.toString();
  }

  /** After a choice: show it, and let the address say so. */
  changed() {
    const fragment = this.fragment();
    history.replaceState(null, "", location.href.split("#")[0] + (fragment && `#${fragment}`));
    this.show();
  }

  /** Show the cards that are asked for, in the order that is asked for: one's own, else the best match first, else the page's. */
  show() {
    const words = mwv.fuzzy.words(this.search.value);
    const found = this.cards.filter((card) => {
      card.score = card.match(words);
      return card.score !== null;
    });
    for (const filter of this.filters) {
      filter.show(found.filter((card) => this.filters.every((other) => other === filter || other.passes(card))));
    }
    const order = mwv.ORDERS[this.sort.value] ?? (words.length > 0 ? (a, b) => b.score - a.score : null);
    this.shown = found.filter((card) => this.filters.every((filter) => filter.passes(card)));
    if (order) this.shown.sort(order); // stable: the page's order decides among equals
    this.place(order !== null);
    const all = this.cards.length, { noun } = this.count.dataset;
    this.count.textContent = this.shown.length === all ? `${all} ${noun}s` : `${this.shown.length} of ${all} ${noun}s`;
    this.nothing.hidden = this.shown.length > 0;
    const active = this.filters.reduce((sum, { chosen }) => sum + chosen.size, 0);
    this.panel.firstElementChild.textContent = active ? `Filters (${active})` : "Filters";
  }

  /** Put the cards into the page, together or in their groups. @param {boolean} together */
  place(together) {
    const shown = new Set(this.shown);
    for (const card of this.cards) card.element.hidden = !shown.has(card);
    const rest = this.cards.filter((card) => !shown.has(card));
    for (const card of [...this.shown, ...rest]) (together ? this.flat : card.home).append(card.element);
    document.body.classList.toggle("together", together);
    for (const group of this.groups) {
      /** @type {HTMLElement} */ (group).hidden = !group.querySelector(".card:not([hidden])");
    }
  }

  /** "/" goes to the search, Escape empties it, arrows go from card to card. @param {KeyboardEvent} event */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.key === "/" && !target.closest("input, select, textarea")) {
      event.preventDefault();
      this.search.focus();
      this.search.select();
    } else if (event.key === "Escape" && target === this.search) {
      this.search.value = "";
      this.changed();
    } else if (event.key === "ArrowDown" && target === this.search) {
      event.preventDefault();
      this.shown[0]?.link.focus();
    } else {
      const at = this.shown.findIndex(({ link }) => link === target);
      const next = at < 0 ? null : this.neighbour(at, event.key);
      if (next === null) return;
      event.preventDefault();
      next.link.focus();
    }
  }

  /** The card that a key leads to from the shown card `at`; null for other keys and at the ends. @param {number} at @param {string} key */
  neighbour(at, key) {
    if (key === "Home") return this.shown[0];
    if (key === "End") return this.shown[this.shown.length - 1];
    if (key === "ArrowLeft" || key === "ArrowRight") return this.shown[at + (key === "ArrowLeft" ? -1 : 1)] ?? null;
    if (key !== "ArrowUp" && key !== "ArrowDown") return null;
    const boxes = this.shown.map(({ element }) => element.getBoundingClientRect());
    const here = boxes[at];
    const way = key === "ArrowUp" ? -1 : 1;
    let next = -1;
    for (let i = at + way; boxes[i]; i += way) {
      const further = (boxes[i].top - here.top) * way;
      if (further <= 1) continue;
      if (next >= 0 && Math.abs(boxes[i].top - boxes[next].top) > 1) break;
      if (next < 0 || Math.abs(boxes[i].left - here.left) < Math.abs(boxes[next].left - here.left)) next = i;
    }
    return this.shown[next] ?? null;
  }
};

mwv.theme.attach(/** @type {HTMLElement} */ (document.getElementById("theme")));
mwv.gallery = document.getElementById("search") ? new mwv.Gallery() : null;
