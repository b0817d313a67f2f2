// @ts-check
"use strict";
/* A view and the keyboard in, movement out; and a dialog that tells the keys. */

/** Pixels that an arrow key moves the map. */
mwv.ARROW = 120;

mwv.Keys = class {
  /**
   * @param {HTMLElement} button opens the dialog
   * @param {any} view
   */
  constructor(button, view) {
    this.view = view;
    const { map } = view;
    const pan = (/** @type {number} */ x, /** @type {number} */ y) => () => view.pan(x * mwv.ARROW, y * mwv.ARROW);
    /** What is told, which keys do it, what they do. @type {[string, string[], () => void][]} */
    this.list = [
      ["Move the map", ["ArrowLeft"], pan(-1, 0)],
      ["", ["ArrowRight"], pan(1, 0)],
      ["", ["ArrowUp"], pan(0, -1)],
      ["", ["ArrowDown"], pan(0, 1)],
      ["Zoom in", ["+", "="], () => map.zoomIn(1)],
      ["Zoom out", ["-", "_"], () => map.zoomOut(1)],
      ["Whole model", ["0", "Home"], () => view.whole()],
      ["One pixel per element", ["1"], () => map.setZoom(0)],
      ["Next layer", ["j"], () => mwv.ruler.step(1)],
      ["Layer before", ["k"], () => mwv.ruler.step(-1)],
      ["Next tensor", ["n"], () => this.tensor(1)],
      ["Tensor before", ["p"], () => this.tensor(-1)],
      ["Let go of what is pinned, then of what is chosen", ["Escape"], () => this.letGo()],
      ["Go to a byte, where bytes are shown", ["g"], () => mwv.offset.focus()],
      ["Next change of bytes, or the one before", ["]"], () => mwv.byteChanges.step(1)],
      ["", ["["], () => mwv.byteChanges.step(-1)],
      ["Next scene", ["s"], () => mwv.nextScene()],
      ["Search tensors", ["/"], () => mwv.table.focus()],
      ["Pin the value at the pointer, or let it go", ["v"], () => mwv.readout.toggle()],
      ["Compare", ["c"], () => mwv.compare.toggle()],
      ["These keys", ["?"], () => this.open()],
    ];
    this.actions = new Map(this.list.flatMap(([, keys, act]) => keys.map((key) => [key, act])));
    this.dialog = /** @type {HTMLDialogElement} */ (mwv.element("dialog", { id: "help", "aria-labelledby": "help-title" }));
    // A click on what lies around a dialog counts as one on the dialog.
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
    document.body.append(this.dialog);
    button.addEventListener("click", () => this.open());
    document.addEventListener("keydown", (event) => this.press(event));
  }

  /** @param {KeyboardEvent} event */
  press(event) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || this.taken(event)) return;
    const act = this.actions.get(event.key.length === 1 ? event.key.toLowerCase() : event.key);
    if (!act) return;
    event.preventDefault();
    act();
  }

  /**
   * Whether the key belongs to what lies over the page, or to what has the focus: to a field every key, to what scrolls those
   * that scroll it.
   * @param {KeyboardEvent} event
   */
  taken({ key, target }) {
    if (document.querySelector("dialog[open], :popover-open")) return true;
    const at = /** @type {Element} */ (target);
    if (at.closest("input, select, textarea, [contenteditable], [role=grid], [role=listbox], [role=slider]")) return true;
    return /^(Arrow|Home$)/.test(key) && at.closest("#panel, table, [role=tablist]") !== null;
  }

  /** Choose the next tensor or the one before, from the one in the middle if none is chosen, and show it. @param {1 | -1} by */
  tensor(by) {
    const { view } = this;
    const { scene, map } = view;
    const start = view.selected >= 0 ? view.selected + by : (view.at(map.getCenter())?.placement ?? (by > 0 ? 0 : scene.count - 1));
    const next = Math.min(Math.max(start, 0), scene.count - 1);
    if (next === view.selected || next < 0) return;
    view.select(next);
    view.fly(scene.shapes[next].box);
  }

  letGo() {
    if (mwv.readout.pinned) mwv.readout.unpin();
    else this.view.select(-1);
  }

  open() {
    const names = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc" };
    const list = mwv.element("dl", {});
    for (const [what, keys] of this.list) {
      const marks = keys
        .filter((key) => key !== "=" && key !== "_")
        .map((key) => mwv.element("kbd", {}, names[/** @type {keyof typeof names} */ (key)] ?? key));
      if (what) list.append(mwv.element("dt", {}, ...marks), mwv.element("dd", {}, what));
      else list.lastElementChild?.previousElementSibling?.append(...marks);
    }
    const close = mwv.element("button", { type: "button", class: "close", "aria-label": "Close" }, "×");
    close.addEventListener("click", () => this.dialog.close());
    this.dialog.replaceChildren(
      mwv.element(
        "div",
        { class: "inside" },
        mwv.element("h2", { id: "help-title" }, "Keys"),
        close,
        list,
        mwv.element("p", {}, "The address of the page always leads to exactly this view: copy it to share it.")
      )
    );
    this.dialog.showModal();
  }
};
