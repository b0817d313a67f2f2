// @ts-check
"use strict";
/* A comparison in, two scenes at one place out: left and right of a handle that is dragged, or one in place of the other. */
mwv.Swipe = class extends mwv.Overlaid {
  name = "swipe";

  /** @param {any} compare */
  constructor(compare) {
    super(compare.view, compare.shown.pair.other);
    this.compare = compare;
    this.halves = [0, 1].map((which) => mwv.element("div", { class: "half" }, compare.label(which)));
    this.handle = mwv.element("div", {
      class: "handle",
      role: "slider",
      tabindex: 0,
      "aria-label": "Where one model ends and the other begins",
      "aria-orientation": "horizontal",
      "aria-valuemin": 0,
      "aria-valuemax": 100,
    });
    this.handle.addEventListener("keydown", (event) => this.key(event));
    this.handle.addEventListener("pointerdown", (event) => this.drag(event));
    compare.box.append(...this.halves, this.handle);
  }

  /** Move the handle to where the comparison has it. */
  update() {
    const { place } = this.compare.choice;
    const percent = `${100 * place}%`;
    const [left, right] = this.compare.shown.titles;
    this.split(place);
    this.handle.style.left = percent;
    this.halves[0].style.right = `calc(100% - ${percent})`;
    this.halves[1].style.left = percent;
    this.handle.setAttribute("aria-valuenow", String(Math.round(100 * place)));
    this.handle.setAttribute("aria-valuetext", `${Math.round(100 * place)} % ${left}, the rest ${right}`);
  }

  /** @param {number} place */
  move(place) {
    this.compare.choice.place = Math.min(Math.max(place, 0), 1);
    this.update();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const { place } = this.compare.choice;
    const step = event.shiftKey ? 0.1 : 0.01;
    const places = {
      ArrowLeft: place - step,
      ArrowDown: place - step,
      ArrowRight: place + step,
      ArrowUp: place + step,
      PageDown: place - 0.1,
      PageUp: place + 0.1,
      Home: 0,
      End: 1,
    };
    if (!(event.key in places) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    this.move(places[event.key]);
    mwv.state?.changed();
  }

  /** @param {PointerEvent} down */
  drag(down) {
    if (down.button !== 0) return;
    down.preventDefault();
    const { handle } = this;
    handle.focus({ preventScroll: true });
    handle.setPointerCapture(down.pointerId);
    const grip = down.clientX - handle.getBoundingClientRect().left - handle.offsetWidth / 2;
    const follow = (/** @type {PointerEvent} */ event) => {
      const { left, width } = this.view.element.getBoundingClientRect();
      this.move((event.clientX - grip - left) / width);
    };
    const done = () => {
      handle.removeEventListener("pointermove", follow);
      mwv.state?.changed();
    };
    handle.addEventListener("pointermove", follow);
    handle.addEventListener("lostpointercapture", done, { once: true });
  }

  remove() {
    super.remove();
    for (const element of [...this.halves, this.handle]) element.remove();
  }
};

/** Slowest, first and fastest number of changes in a second; a change is half a flash, and three flashes may harm. */
mwv.BLINKS = [0.5, 1.5, 4];

mwv.Blink = class extends mwv.Overlaid {
  name = "blink";

  /** @param {any} compare */
  constructor(compare) {
    super(compare.view, compare.shown.pair.other);
    this.labels = [0, 1].map((which) => compare.label(which));
    compare.box.append(...this.labels);
    /** 0 while the view's own scene is seen, 1 while the other is. */
    this.seen = 0;
    this.holding = false;
    this.timer = 0;
    const { extras } = compare;
    this.auto = mwv.element("button", { type: "button" }, "Auto");
    this.auto.addEventListener("click", () => this.start(!this.timer));
    this.rate = mwv.element("input", {
      type: "range",
      min: mwv.BLINKS[0],
      max: mwv.BLINKS[2],
      step: 0.5,
      value: mwv.BLINKS[1],
      "aria-label": "Changes in a second",
    });
    this.rate.addEventListener("input", () => {
      if (this.timer) this.start(true);
    });
    const title = "Hold to see the other model (key b)";
    this.hold = mwv.element("button", { type: "button", class: "hold", title }, "Hold: other");
    extras.append(this.auto, this.rate, this.hold);
    this.listening = new AbortController();
    const { signal } = this.listening;
    this.hold.addEventListener("pointerdown", (event) => {
      this.hold.setPointerCapture(event.pointerId);
      this.press(true);
    });
    this.hold.addEventListener("lostpointercapture", () => this.press(false));
    this.hold.addEventListener("contextmenu", (event) => event.preventDefault());
    document.addEventListener("keydown", (event) => this.key(event, true), { signal });
    document.addEventListener("keyup", (event) => this.key(event, false), { signal });
    addEventListener("blur", () => this.press(false), { signal });
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.still.addEventListener("change", () => this.start(!this.still.matches), { signal });
    this.start(!this.still.matches);
  }

  /** Let the scenes take turns, or not; where motion is unwelcome the reader cannot start it. @param {boolean} on */
  start(on) {
    clearInterval(this.timer);
    const still = this.still.matches;
    this.timer = on ? window.setInterval(() => this.turn(), 1000 / Number(this.rate.value)) : 0;
    this.auto.setAttribute("aria-pressed", String(this.timer !== 0));
    this.auto.title = still ? "Off, since this device asks for less motion" : "Let the models take turns";
    for (const control of [this.auto, this.rate]) control.disabled = still;
    this.see(0);
  }

  turn() {
    if (!this.holding) this.see(1 - this.seen);
  }

  /** @param {number} which 0 for the view's own scene, 1 for the other */
  see(which) {
    this.seen = which;
    this.show(which);
    this.labels.forEach((label, i) => {
      label.hidden = i !== which;
    });
  }

  /** The other is seen as long as a key or a finger holds it. @param {boolean} down */
  press(down) {
    if (down === this.holding) return;
    this.holding = down;
    this.hold.classList.toggle("held", down);
    this.see(down ? 1 : 0);
  }

  /** The key b anywhere but in a field, space and return on the button. @param {KeyboardEvent} event @param {boolean} down */
  key(event, down) {
    const target = /** @type {HTMLElement} */ (event.target);
    const here = target === this.hold && (event.key === " " || event.key === "Enter");
    const field = target.matches("input:not([type=range]), select, textarea, [contenteditable]");
    if (!here && (event.key !== "b" || (down && (field || event.ctrlKey || event.metaKey || event.altKey)))) return;
    if (here) event.preventDefault();
    this.press(down);
  }

  remove() {
    this.listening.abort();
    clearInterval(this.timer);
    super.remove();
    for (const label of this.labels) label.remove();
  }
};
