// @ts-check
"use strict";
/* Two scenes in, what they share out: which tensor of one is which of the other, which are equal, and what changed most. */
mwv.Pair = class {
  /**
   * @param {any} scene
   * @param {any} other
   */
  constructor(scene, other) {
    this.scene = scene;
    this.other = other;
    /** @type {Map<string, number>} */
    const places = new Map();
    for (let i = 0; i < other.count; i += 1) places.set(other.name(i), i);
    // Files of equal sizes are compared byte by byte, whatever they are called.
    const asTheyStand = scene.facts.curve && scene.facts.layout === other.facts.layout;
    /** For each placement the other scene's of the same name, -1 where there is none. @type {number[]} */
    this.twins = Array.from({ length: scene.count }, (_, i) => (asTheyStand ? i : (places.get(scene.name(i)) ?? -1)));
    /** The same the other way round. @type {number[]} */
    this.back = new Array(other.count).fill(-1);
    this.twins.forEach((twin, placement) => {
      if (twin >= 0) this.back[twin] = placement;
    });
    /** How many tensors stand at the same place in the same shape. */
    this.together = this.twins.filter((twin, placement) => twin >= 0 && this.coincide(placement, twin)).length;
  }

  /**
   * Whether the two can be compared pixel by pixel: all of it, or half at least. A vocabulary that grew moves no layer, though
   * it makes another layout.
   */
  get fits() {
    const [a, b] = [this.scene.facts, this.other.facts];
    return mwv.ofOneKind(this.scene.values.facts, this.other.values.facts) && (a.layout === b.layout || 2 * this.together >= Math.max(this.scene.count, this.other.count));
  }

  /** Whether both show the same kind of thing: of a difference and a model's values there is nothing to be set against each other. */
  get alike() {
    return mwv.kindOf(this.scene.values) === mwv.kindOf(this.other.values);
  }

  /** Whether two placements are drawn at the same place. @param {number} placement @param {number} twin */
  coincide(placement, twin) {
    if (this.scene.facts.curve) return this.other.facts.curve && this.scene.begin(placement) === this.other.begin(twin);
    const pieces = [this.scene, this.other].map((scene, i) => scene.facts.placements.pieces[i ? twin : placement].join());
    return pieces[0] === pieces[1] && this.scene.grid(placement).join() === this.other.grid(twin).join();
  }

  /** Numbers of a placement; null where there is no tensor. */
  static numbers(scene, placement) {
    if (placement < 0 || scene.missing(placement)) return null;
    const { placements, tensors } = scene.facts;
    const tensor = placements.tensor[placement];
    return {
      digest: tensors.digest[tensor],
      shape: mwv.text.shape(tensors.shapes[tensors.shape[tensor]]),
      rms: placements.rms[placement],
      minimum: placements.minimum[placement],
      maximum: placements.maximum[placement],
      zeros: placements.zeros[placement],
      nan: placements.nan[placement] ?? 0,
      inf: placements.inf[placement] ?? 0,
    };
  }

  /**
   * What is known about a placement in both: `numbers` of this scene and of the other (null where there is no tensor), whether
   * they are `identical`, whether the count of NaN or infinities changed (`odd`), and by which part of itself the larger RMS
   * exceeds the smaller (`change`, 0 to 1).
   * @param {number} placement -1 for none
   * @param {number} twin -1 for none
   */
  about(placement, twin) {
    const numbers = [mwv.Pair.numbers(this.scene, placement), mwv.Pair.numbers(this.other, twin)];
    const [a, b] = numbers;
    const identical = a && b ? a.digest === b.digest && a.shape === b.shape : a === b;
    const odd = (a?.nan ?? 0) !== (b?.nan ?? 0) || (a?.inf ?? 0) !== (b?.inf ?? 0);
    const [x, y] = numbers.map((of) => of?.rms ?? 0);
    const change = x === y ? 0 : Math.abs(x - y) / Math.max(x, y);
    return { placement, twin, numbers, identical, odd, change };
  }

  /** Everything that is not identical: where NaN or infinities came or went first, then what changed its RMS most. */
  differences() {
    const all = this.twins.map((twin, placement) => this.about(placement, twin));
    this.back.forEach((placement, twin) => {
      if (placement < 0) all.push(this.about(-1, twin));
    });
    return all.filter(({ identical }) => !identical).sort((a, b) => Number(b.odd) - Number(a.odd) || b.change - a.change);
  }
};

/**
 * Whether what scenes show can be set against each other: their kinds are one, or they are of one difference of bytes, the changes
 * and both sides, which stand at the same places.
 * @param {any} a facts of a scene
 * @param {any} b
 */
mwv.ofOneKind = (a, b) => a.kind === b.kind || Boolean(a.beside && b.beside && a.layout === b.layout);
