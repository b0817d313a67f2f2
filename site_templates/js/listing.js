// @ts-check
"use strict";
/*
 * The table of tensors in, its part of the address out: "open", then what its controls say as "name:text", parted by commas.
 * The address says nothing while the table is closed.
 */
mwv.Listing = class {
  /** @param {any} table see `mwv.Table` */
  constructor(table) {
    this.table = table;
  }

  read() {
    const { section, search, dtype, stack, layer, odd, sort, down } = this.table;
    if (section.hidden) return "";
    const said = {
      q: search.value,
      type: dtype.value,
      stack: stack.value,
      layer: layer.value,
      odd: odd.checked ? "1" : "",
      sort: sort && `${down ? "-" : ""}${sort}`,
    };
    const parts = Object.entries(said).filter(([, text]) => text);
    return ["open", ...parts.map(([name, text]) => `${name}:${text.replace(/[%,]/g, encodeURIComponent)}`)].join();
  }

  /** @param {string} text */
  write(text) {
    if (text === this.read()) return;
    const [open, ...parts] = text.split(",");
    if (open === "open") {
      const said = parts.map((part) => /^(\w+):(.*)$/s.exec(part)?.slice(1) ?? ["", ""]);
      this.set(new Map(said.map(([name, value]) => [name, value.replace(/%2C|%25/gi, decodeURIComponent)])));
    }
    this.table.open(open === "open");
  }

  /** Let the controls say this, and what they do not offer or what is not said their default. @param {Map<string, string>} said */
  set(said) {
    const { table } = this;
    const text = (/** @type {string} */ name) => said.get(name) ?? "";
    const choose = (/** @type {any} */ select, /** @type {string} */ value) => {
      select.value = value;
      if (select.selectedIndex < 0) select.value = "";
    };
    if (!table.rows) table.fill();
    table.search.value = text("q");
    choose(table.dtype, text("type"));
    choose(table.stack, text("stack"));
    table.fillLayers();
    choose(table.layer, text("layer"));
    table.odd.checked = text("odd") !== "";
    const key = text("sort").replace(/^-/, "");
    table.sort = table.columns.some((column) => column.key === key) ? key : "";
    table.down = text("sort").startsWith("-");
    table.list();
  }
};
