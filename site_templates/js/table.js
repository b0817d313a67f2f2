// @ts-check
"use strict";
/*
 * A view in, a drawer with the table of all tensors of its scene out. Only the rows in sight are in the page, so the number of
 * tensors does not matter.
 */
mwv.Table = class {
  /**
   * @param {HTMLElement} section
   * @param {any} view
   * @param {HTMLElement} button opens and closes it
   */
  constructor(section, view, button) {
    this.section = section;
    this.view = view;
    this.button = button;
    this.narrow = matchMedia("(max-width: 720px)");
    /** All rows, and those that are listed; none while the drawer was never open. @type {any[] | null} */
    this.rows = null;
    /** @type {any[]} */
    this.listed = [];
    /** Place of the row that keys act on. */
    this.at = 0;
    this.sort = "";
    this.down = false;
    /** Elements of the rows in the page, by their place in the list. @type {Map<number, HTMLElement>} */
    this.shown = new Map();
    this.attach();
    button.addEventListener("click", () => this.open(section.hidden));
    view.addEventListener("scene", () => {
      this.rows = null;
      if (mwv.tableColumns(view.scene).map(({ key }) => key).join() !== this.columns.map(({ key }) => key).join()) this.attach();
      if (!section.hidden) this.fill();
    });
    view.addEventListener("select", () => this.follow());
    mwv.state.add("l", new mwv.Listing(this));
    addEventListener("resize", () => section.hidden || this.resize(section.offsetHeight));
  }

  /** Take the columns of the scene. */
  attach() {
    const { scene } = this.view;
    this.columns = mwv.tableColumns(scene);
    this.ofFiles = Boolean(scene.facts.curve);
    this.section.classList.toggle("of-changes", !this.ofFiles && Boolean(scene.folder.scenes[0].difference));
    this.section.classList.toggle("of-bytes", this.columns === mwv.BYTE_COLUMNS);
    this.section.classList.toggle("of-pairs", this.columns === mwv.BESIDE_COLUMNS);
    [this.sort, this.down] = ["", false];
    this.what = this.ofFiles ? "Files" : "Tensors";
    this.section.setAttribute("aria-label", this.what);
    this.button.title = `All ${this.what.toLowerCase()}, to sort and search`;
    /** @type {HTMLElement} */ (this.button.querySelector("span")).textContent = this.what;
    this.build();
  }

  build() {
    const { element } = mwv;
    this.search = element("input", {
      type: "search",
      placeholder: "Search names",
      "aria-label": `Search ${this.what.toLowerCase()} by name`,
      autocomplete: "off",
      spellcheck: "false",
    });
    this.dtype = element("select", { "aria-label": "Type" });
    this.stack = element("select", { "aria-label": "Stack" });
    this.layer = element("select", { "aria-label": "Layer" });
    this.odd = element("input", { type: "checkbox" });
    this.count = element("p", { class: "count", role: "status" });
    const save = (/** @type {string} */ kind) => {
      const button = element("button", { type: "button", title: `Save what is listed as ${kind}` }, kind);
      button.addEventListener("click", () => this.save(kind));
      return button;
    };
    const close = element("button", { type: "button", class: "icon plain-button", title: "Close", "aria-label": "Close the table" }, "×");
    close.addEventListener("click", () => this.open(false));
    this.heads = this.columns.map((column) => this.head(column));
    this.section.style.setProperty("--stored", "5.5em 7.5em ".slice(0, 6 * (this.columns.length - mwv.COLUMNS.length)));
    this.body = element("div", { class: "body", role: "rowgroup" });
    this.grid = element(
      "div",
      { class: "grid", role: "grid", tabindex: 0, "aria-label": this.what, "aria-colcount": this.columns.length },
      element("div", { class: "heads", role: "rowgroup" }, element("div", { class: "line", role: "row", "aria-rowindex": 1 }, ...this.heads)),
      this.body
    );
    this.empty = element("p", { class: "empty", hidden: "" }, this.ofFiles ? "No file fits." : "No tensor fits.");
    this.section.replaceChildren(
      this.grip(),
      element(
        "div",
        { class: "controls" },
        this.search,
        this.dtype,
        this.stack,
        this.layer,
        element("label", { class: "check of-values" }, this.odd, "only with NaN/Inf"),
        this.count,
        element("span", { class: "save" }, save("CSV"), save("JSON")),
        close
      ),
      this.grid,
      this.empty
    );
    this.search.addEventListener("input", () => {
      // A search lists the best first, until a column is chosen again.
      this.sort = "";
      this.list();
    });
    this.search.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.searchKey(event));
    for (const control of [this.dtype, this.layer, this.odd]) control.addEventListener("change", () => this.list());
    this.stack.addEventListener("change", () => {
      this.fillLayers();
      this.list();
    });
    this.grid.addEventListener("scroll", () => this.draw());
    this.grid.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.key(event));
    this.body.addEventListener("click", (/** @type {MouseEvent} */ event) => {
      const line = /** @type {HTMLElement} */ (event.target).closest("[role=row]");
      if (line) this.choose(Number(line.getAttribute("aria-rowindex")) - 2);
    });
  }

  /** A column's head, which sorts. @param {any} column */
  head({ key, title, number }) {
    const button = mwv.element("button", { type: "button" }, title);
    const head = mwv.element("div", { role: "columnheader", class: number ? "n" : "", "aria-sort": "none" }, button);
    button.addEventListener("click", () => {
      // First the way that tells most: names from a, numbers from the largest; then the other way; then none.
      const first = Boolean(number);
      if (this.sort !== key) [this.sort, this.down] = [key, first];
      else if (this.down === first) this.down = !first;
      else this.sort = "";
      this.list();
    });
    return head;
  }

  /** The upper edge, by which the drawer is made higher or lower. */
  grip() {
    const grip = mwv.element("div", {
      class: "grip",
      role: "separator",
      tabindex: 0,
      "aria-orientation": "horizontal",
      "aria-label": "Height of the table",
      "aria-controls": this.section.id,
      "aria-valuemin": 0,
      "aria-valuemax": 100,
      "aria-valuenow": 40,
    });
    this.handle = grip;
    grip.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      grip.setPointerCapture(event.pointerId);
      const bottom = this.section.getBoundingClientRect().bottom;
      const move = (/** @type {PointerEvent} */ moved) => this.resize(bottom - moved.clientY);
      grip.addEventListener("pointermove", move);
      for (const end of ["pointerup", "pointercancel"]) grip.addEventListener(end, () => grip.removeEventListener("pointermove", move), { once: true });
    });
    grip.addEventListener("keydown", (event) => {
      const step = { ArrowUp: 32, ArrowDown: -32 }[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation();
      this.resize(this.section.offsetHeight + step);
    });
    return grip;
  }

  /** @param {number} height pixels of the drawer; some of the map stays in sight */
  resize(height) {
    const room = this.section.parentElement?.offsetHeight ?? 0;
    const fitting = Math.round(Math.max(Math.min(height, room - 120), 140));
    this.section.style.height = this.narrow.matches ? "" : `${fitting}px`;
    this.handle.setAttribute("aria-valuenow", String(Math.round((100 * fitting) / Math.max(room, 1))));
    this.view.map.invalidateSize({ pan: false });
    this.draw();
  }

  /** @param {boolean} open */
  open(open) {
    if (open !== this.section.hidden) return;
    const within = this.section.contains(document.activeElement);
    this.section.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
    if (open && !this.rows) this.fill();
    if (open) {
      this.resize(this.section.offsetHeight);
      this.follow();
    } else {
      this.view.map.invalidateSize({ pan: false });
      if (within) this.button.focus();
    }
    mwv.state.changed();
  }

  /** Open it, ready for words to search for. */
  focus() {
    this.open(true);
    this.search.focus();
    this.search.select();
  }

  /** Take the rows of the scene, and what they can be filtered by. */
  fill() {
    const rows = (this.rows = mwv.rows(this.view.scene));
    const distinct = (/** @type {string} */ key) => [...new Set(rows.map((/** @type {any} */ row) => row[key]))];
    const dtypes = distinct("dtype").filter((dtype) => dtype !== "").sort();
    this.options(this.dtype, "all types", dtypes.map((dtype) => [dtype, mwv.text.visible(dtype)]));
    const stacks = distinct("stack").sort();
    this.options(this.stack, "all stacks", stacks.map((stack) => [`.${stack}`, stack ? mwv.text.visible(stack) : "in no stack"]));
    this.fillLayers();
    this.list();
    this.follow();
  }

  fillLayers() {
    const stack = this.wanted().stack;
    const rows = (this.rows ?? []).filter((row) => row.layer !== null && (stack === null || row.stack === stack));
    const layers = [...new Set(rows.map((row) => row.layer))].sort((a, b) => a - b);
    this.options(this.layer, "all layers", layers.map((layer) => [String(layer), `layer ${layer}`]));
  }

  /** Fill a choice; one with nothing to choose from is hidden. @param {any} select @param {string} all @param {string[][]} values */
  options(select, all, values) {
    const before = select.value;
    select.replaceChildren(...[["", all], ...values].map(([value, text]) => mwv.element("option", { value }, text)));
    select.value = values.some(([value]) => value === before) ? before : "";
    select.hidden = values.length < 2;
  }

  /** What the controls say. */
  wanted() {
    return {
      query: this.search.value,
      dtype: this.dtype.value,
      stack: this.stack.value ? this.stack.value.slice(1) : null,
      layer: this.layer.value ? Number(this.layer.value) : null,
      odd: this.odd.checked,
      sort: this.sort,
      down: this.down,
    };
  }

  /** List what is wanted, from the top. */
  list() {
    const rows = this.rows ?? [];
    const wanted = this.wanted();
    this.words = mwv.fuzzy.words(wanted.query);
    this.listed = mwv.wantedRows(rows, wanted);
    const { thousands, plural, size } = mwv.text;
    const [elements, bytes] = this.listed.reduce(([a, b], row) => [a + row.elements, b + row.bytes], [0, 0]);
    const of = this.listed.length === rows.length ? "" : ` of ${thousands(rows.length)}`;
    const told = this.ofFiles ? ["file", ""] : ["tensor", ` · ${thousands(elements)} element${plural(elements)}`];
    this.count.textContent = `${thousands(this.listed.length)}${of} ${told[0]}${plural(rows.length)}${told[1]}${bytes && this.columns.some(({ key }) => key === "bytes") ? ` · ${size(bytes)}` : ""}`;
    this.columns.forEach(({ key }, i) => {
      const state = key !== this.sort ? "none" : this.down ? "descending" : "ascending";
      this.heads[i].setAttribute("aria-sort", state);
    });
    this.grid.setAttribute("aria-rowcount", String(this.listed.length + 1));
    this.empty.hidden = this.listed.length > 0;
    this.at = 0;
    this.shown.clear();
    this.body.replaceChildren();
    this.grid.scrollTop = 0;
    this.draw();
    mwv.state.changed();
  }

  /** Height of a row. */
  get pitch() {
    return parseFloat(getComputedStyle(this.grid).getPropertyValue("--row"));
  }

  /** Put the rows in sight, and a few more, into the page. */
  draw() {
    if (this.section.hidden) return;
    const { grid, body, listed, shown, pitch } = this;
    body.style.height = `${listed.length * pitch}px`;
    const [above, below] = [grid.scrollTop / pitch, (grid.scrollTop + grid.clientHeight) / pitch];
    const [first, end] = [Math.max(Math.floor(above) - 8, 0), Math.min(Math.ceil(below) + 8, listed.length)];
    for (const [place, line] of shown) {
      if (place >= first && place < end) continue;
      line.remove();
      shown.delete(place);
    }
    for (let place = first; place < end; place += 1) {
      if (shown.has(place)) continue;
      const line = this.line(place);
      shown.set(place, line);
      body.append(line);
    }
    this.mark();
  }

  /** The element of a row. @param {number} place */
  line(place) {
    const row = this.listed[place];
    const cells = this.columns.map((column, i) => {
      const cell = mwv.element("div", { role: i ? "gridcell" : "rowheader", class: column.number ? "n" : "" });
      cell.append(...(i ? [row.tensor < 0 && column.number && column.key !== "layer" ? "" : column.show(row)] : [mwv.element("span", {}, ...this.marked(row))]));
      if (column.key === "odd" && row.nan + row.inf) cell.classList.add("odd");
      if (!column.number) cell.title = i ? String(cell.textContent) : row.shown;
      return cell;
    });
    const kind = row.place < 0 ? "line nowhere" : row.tensor < 0 ? "line missing" : "line";
    const style = `top: ${place * this.pitch}px`;
    return mwv.element("div", { role: "row", class: kind, id: `row-${place}`, "aria-rowindex": place + 2, style }, ...cells);
  }

  /** A name with the letters marked that were searched for. @param {any} row */
  marked(row) {
    const places = new Set(mwv.fuzzy.places(this.words, row.folded));
    /** @type {(Node | string)[]} */
    const parts = [];
    for (let i = 0; i < row.shown.length; ) {
      let end = i + 1;
      while (end < row.shown.length && places.has(end) === places.has(i)) end += 1;
      const text = row.shown.slice(i, end);
      parts.push(places.has(i) ? mwv.element("mark", {}, text) : text);
      i = end;
    }
    return parts;
  }

  /** Show which row is chosen, and which keys act on. */
  mark() {
    const { selected } = this.view;
    for (const [place, line] of this.shown) {
      const { placement } = this.listed[place];
      line.setAttribute("aria-selected", String(placement >= 0 && placement === selected));
      line.classList.toggle("active", place === this.at);
    }
    if (this.shown.has(this.at)) this.grid.setAttribute("aria-activedescendant", `row-${this.at}`);
    else this.grid.removeAttribute("aria-activedescendant");
  }

  /** Make a row the one that keys act on, and bring it into sight. @param {number} place */
  move(place) {
    this.at = Math.min(Math.max(place, 0), Math.max(this.listed.length - 1, 0));
    const { grid, pitch } = this;
    const top = this.at * pitch;
    if (top < grid.scrollTop) grid.scrollTop = top;
    // The heads, as high as a row, stand over the first one.
    else if (top + 2 * pitch > grid.scrollTop + grid.clientHeight) grid.scrollTop = top + 2 * pitch - grid.clientHeight;
    this.draw();
  }

  /** Let the row of the chosen tensor be seen, if it is listed. */
  follow() {
    if (this.section.hidden) return;
    const place = this.listed.findIndex((row) => row.placement === this.view.selected && row.placement >= 0);
    if (place < 0) return this.mark();
    const { grid, pitch } = this;
    const top = place * pitch;
    if (top < grid.scrollTop || top + 2 * pitch > grid.scrollTop + grid.clientHeight) grid.scrollTop = top - grid.clientHeight / 2 + pitch;
    this.move(place);
  }

  /** Choose the tensor of a row and move to it. @param {number} place */
  choose(place) {
    const row = this.listed[place];
    if (!row) return;
    this.move(place);
    if (row.place < 0) return;
    if (this.narrow.matches) this.open(false);
    this.view.select(row.place);
    this.view.fly(this.view.scene.shapes[row.place].box);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const page = Math.max(Math.floor(this.grid.clientHeight / this.pitch) - 2, 1);
    /** @type {Record<string, number>} */
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    const step = steps[event.key];
    if (event.key === "Enter" && event.target === this.grid) this.choose(this.at);
    else if (event.key === "Escape") this.open(false);
    else if (step !== undefined) this.move(this.at + step);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {KeyboardEvent} event */
  searchKey(event) {
    if (event.key === "ArrowDown") {
      this.grid.focus();
      this.move(0);
    } else if (event.key === "Enter") this.choose(this.at);
    else if (event.key === "Escape" && !this.search.value) this.open(false);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Hand what is listed to the reader as a file. @param {string} kind */
  save(kind) {
    const { scene } = this.view;
    const records = mwv.records(scene, this.listed);
    const text = kind === "CSV" ? mwv.csv(records) : `${JSON.stringify(records, null, 1)}\n`;
    const address = URL.createObjectURL(new Blob([text], { type: kind === "CSV" ? "text/csv" : "application/json" }));
    const link = mwv.element("a", { href: address, download: `${scene.folder.record.slug}-tensors.${kind.toLowerCase()}` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
  }
};
