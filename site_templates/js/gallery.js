// @ts-check
"use strict";
/* The cards of the gallery in, a gallery that can be searched out. */
(function () {
  mwv.theme.attach(/** @type {HTMLElement} */ (document.getElementById("theme")));
})();
