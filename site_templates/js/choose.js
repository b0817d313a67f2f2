// @ts-check
"use strict";
/* The models of the site in, a dialog out in which one of them is chosen for a comparison, or that tells why none can be. */
mwv.CompareDialog = class {
  /** @param {any} compare */
  constructor(compare) {
    this.compare = compare;
    /** @type {HTMLDialogElement | null} */
    this.element = null;
  }

  toggle() {
    if (this.element) this.element.close();
    else this.open();
  }

  /** @param {string} [words] what the reader should know first */
  async open(words = "") {
    this.element?.close();
    const close = mwv.element("button", { type: "button", class: "icon", "aria-label": "Close", title: "Close" }, "×");
    const title = mwv.element("h2", { id: "compare-title" }, "Compare with");
    const notice = mwv.element("p", { class: "note", role: "status" }, words);
    notice.hidden = !words;
    const list = mwv.element("ul", {});
    const dialog = mwv.element("dialog", { class: "choose", "aria-labelledby": "compare-title" }, title, close, notice, list);
    close.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (this.element === dialog) this.element = null;
    });
    dialog.addEventListener("click", (/** @type {Event} */ event) => {
      if (event.target === dialog) dialog.close();
    });
    document.body.append(dialog);
    this.element = dialog;
    dialog.showModal();
    const tell = (/** @type {string} */ text) => {
      notice.hidden = false;
      notice.textContent = [notice.textContent, text].filter((line) => line).join(" ");
    };
    let models = [];
    try {
      models = await mwv.compareList();
    } catch (error) {
      tell(error.message);
    }
    const candidates = this.candidates(models);
    list.append(...candidates.map((candidate) => this.row(candidate, dialog)));
    if (!candidates.length && models.length) tell("There is no other model in this site yet. mwv build adds one.");
    /** @type {HTMLElement | null} */ (list.querySelector("button:enabled"))?.focus();
  }

  /**
   * Every other scene of this model that shows the same kind of thing, and those of other models: {slug, index, title, reason, open}; `reason` says why it cannot be
   * compared, or what is not known yet. Those that can stand first.
   * @param {any[]} models
   */
  candidates(models) {
    const { scene } = this.compare.view;
    const { record, scenes } = scene.folder;
    const own = models.find(({ slug }) => slug === record.slug);
    const values = (/** @type {any} */ facts) => (facts.base === undefined ? facts : scenes[facts.base]);
    const all = scenes
      .filter((/** @type {any} */ facts) => facts.index !== scene.facts.index && mwv.ofOneKind(values(facts), values(scene.facts)))
      .map((/** @type {any} */ facts) => {
        const { layout } = values(facts);
        const [reason, rank] = layout === scene.facts.layout ? ["", 0] : scene.facts.curve ? ["Another layout", 2] : ["Not everything is in both", 1];
        return { slug: record.slug, index: facts.index, title: facts.title, reason, rank };
      });
    for (const model of models) {
      if (model === own) continue;
      if (scene.base) {
        const same = mwv.comparable(scene.facts.layout === model.layout[scene.base.facts.index], record, model);
        const known = scene.facts.index < model.scenes.length + (model.stored ?? []).length;
        const what = `${scene.facts.title} of ${model.title}`;
        all.push({ slug: model.slug, index: scene.facts.index, title: what, ...(known ? same : { rank: 2, reason: "Not known how it is stored" }) });
        continue;
      }
      model.layout.forEach((/** @type {string} */ layout, /** @type {number} */ index) => {
        all.push({ slug: model.slug, index, title: mwv.sceneTitle(model, index), ...mwv.comparable(scene.facts.layout === layout, record, model) });
      });
    }
    return all.sort((a, b) => a.rank - b.rank);
  }

  /** One candidate. */
  row({ slug, index, title, reason, rank }, dialog) {
    const about = mwv.element("span", { class: "why" }, reason || "Same layout");
    const name = mwv.element("b", {}, mwv.text.visible(title));
    const button = mwv.element("button", { type: "button" }, name, mwv.element("span", { class: "slug" }, slug), about);
    const refuse = (/** @type {string} */ why) => {
      about.textContent = why;
      button.disabled = true;
    };
    if (rank === 2) refuse(reason);
    button.addEventListener("click", async () => {
      about.textContent = "Loading…";
      try {
        await this.compare.begin({ mode: "swipe", slug, index, place: 0.5 });
        dialog.close();
        mwv.state?.changed(true);
      } catch (error) {
        refuse(error.message);
      }
    });
    return mwv.element("li", {}, button);
  }
};

/** What a scene of a model of `site.js` is called. @param {any} model @param {number} index */
mwv.sceneTitle = function ({ title, layout, compares }, index) {
  // A page that compares shows the difference, then both sides; then the same of other files.
  if (compares?.length) {
    const which = index % 3;
    return (index < 3 ? "" : "Files: ") + (which ? `${compares[which - 1]}, beside ${compares[2 - which]}` : title);
  }
  return layout.length > 1 ? `${title}, scene ${index + 1}` : title;
};

/**
 * How well two models may be compared by what `site.js` tells: rank 0 for the same layout, 1 where only the placements
 * tell, 2 for not at all; and the words for it.
 * @param {boolean} same whether the layouts are equal
 * @param {any} record of this model
 * @param {any} model of `site.js`
 */
mwv.comparable = function (same, record, model) {
  if (same) return { rank: 0, reason: "" };
  const alike = record.architecture && record.architecture === model.architecture;
  if (alike) return { rank: 1, reason: "Another layout of the same architecture; parts may coincide" };
  return { rank: 2, reason: `Another layout${model.architecture ? `: ${mwv.text.visible(model.architecture)}` : ""}` };
};
