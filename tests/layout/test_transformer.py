from bisect import insort
from collections import defaultdict
from math import prod

import families
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layout_families import FAMILIES, bert, gguf_moe, llama, mixtral, qwen3_moe_fused

from mwv.errors import LayoutError
from mwv.layout.canvas import Canvas, Placement, Rect
from mwv.layout.transformer import arrange, layout_digest_input

Tensors = list[tuple[str, tuple[int, ...]]]

PREFIXES = ("model.layers", "h", "vision_model.encoder.layers", "model.decoder.layers", "down_blocks", "stages.0.blocks", "")
LEAVES = (
    "attn.q.weight",
    "attn.q.bias",
    "attn.o.weight",
    "mlp.up.weight",
    "mlp.experts.w",
    "mlp.experts.0.w1.weight",
    "mlp.experts.1.w1.weight",
    "conv.weight",
    "norm.weight",
    "scale",
    "0.1.weight",
)
LOOSE = (
    "embed_tokens.weight",
    "wpe.weight",
    "pos_embed",
    "lm_head.weight",
    "head.bias",
    "norm.weight",
    "norm.bias",
    "proj.weight",
    "temperature",
)

side = st.integers(0, 40) | st.integers(0, 3000)
shapes = st.lists(side, min_size=0, max_size=2).map(tuple) | st.lists(st.integers(0, 12), min_size=3, max_size=5).map(tuple)
tables = (
    shapes | st.tuples(st.integers(1, 150_000), st.integers(1, 900)) | st.tuples(st.integers(1, 9), st.integers(1, 140_000))
)


@st.composite
def models(draw: st.DrawFn) -> Tensors:
    """Some stacks whose layers hold the same slots, a few of them missing or of another shape, and tensors outside."""
    tensors: Tensors = []
    for prefix in draw(st.lists(st.sampled_from(PREFIXES), max_size=3, unique=True)):
        slots = {leaf: draw(shapes) for leaf in draw(st.lists(st.sampled_from(LEAVES), min_size=1, max_size=6, unique=True))}
        for layer in draw(st.lists(st.integers(0, 12), min_size=1, max_size=4, unique=True)):
            for leaf, shape in slots.items():
                if draw(st.integers(0, 9)) < 9:
                    odd = draw(st.integers(0, 19)) == 0
                    tensors.append((f"{prefix}.{layer}.{leaf}".lstrip("."), draw(shapes) if odd else shape))
    tensors += [(name, draw(tables)) for name in draw(st.lists(st.sampled_from(LOOSE), max_size=5, unique=True))]
    return tensors


def rects(canvas: Canvas) -> list[tuple[Placement, Rect]]:
    return [(placement, placement.rect(piece)) for placement in canvas.placements for piece in placement.pieces]


def crossing(boxes: list[tuple[Rect, str]], gap: int) -> list[tuple[str, str]]:
    """Pairs of rectangles less than `gap` apart, found by a sweep from left to right."""
    found: list[tuple[str, str]] = []
    active: list[tuple[int, int]] = []
    order = sorted(range(len(boxes)), key=lambda i: boxes[i][0].x)
    for i in order:
        a = boxes[i][0]
        active = [(right, j) for right, j in active if right + gap > a.x]
        for _, j in active:
            b = boxes[j][0]
            if a.y < b.y + b.height + gap and b.y < a.y + a.height + gap:
                found.append((boxes[i][1], boxes[j][1]))
        insort(active, (a.x + a.width, i))
    return found


def check(canvas: Canvas, tensors: Tensors) -> None:
    """All that holds for any canvas."""
    found = rects(canvas)
    for placement, rect in found:
        assert canvas.bounds.x <= rect.x and rect.x + rect.width <= canvas.width <= 262_144, placement.name
        assert rect.y >= canvas.bounds.y >= 0 and rect.y + rect.height <= canvas.height, placement.name
    boxes = [(rect, placement.name) for placement, rect in found]
    assert not crossing(boxes, 0)
    assert all(one == other for one, other in crossing(boxes, 8))
    corners = {(region.stack, region.layer): region.rect for region in canvas.regions if region.kind == "layer"}
    for region in canvas.regions:
        assert region.rect.x % 512 == region.rect.y % 512 == 0, region
    for placement in canvas.placements:
        first = placement.pieces[0]
        assert placement.pieces[0].x % 64 == 0
        assert all(piece.x % 8 == 0 for piece in placement.pieces)
        if placement.role.layer is None:
            assert first.x % 512 == first.y % 512 == 0, placement.name
        else:
            box = corners[placement.role.stack, placement.role.layer]
            assert (first.x - box.x) % 64 == (first.y - box.y) % 64 == 0
            for piece in placement.pieces:
                rect = placement.rect(piece)
                assert box.x <= rect.x and rect.x + rect.width <= box.x + box.width
                assert box.y <= rect.y and rect.y + rect.height <= box.y + box.height
    elements: defaultdict[int | None, int] = defaultdict(int)
    for placement in canvas.placements:
        assert sum(piece.rows * piece.cols for piece in placement.pieces) == placement.grid.elements
        elements[placement.tensor] += placement.grid.elements
    elements.pop(None, None)
    assert elements == {i: prod(shape) for i, (_, shape) in enumerate(tensors) if prod(shape)}
    assert len({(placement.tensor, placement.panel) for placement in canvas.placements if placement.tensor is not None}) == sum(
        placement.tensor is not None for placement in canvas.placements
    )


def places(canvas: Canvas) -> dict[str, list[tuple[int, ...]]]:
    return {p.name: [(q.x, q.y, q.row, q.col, q.rows, q.cols) for q in p.pieces] for p in canvas.placements}


@settings(max_examples=120, deadline=None)
@given(models(), st.sampled_from([1, 1, 2, 3, None]))
def test_every_canvas_is_sound(tensors: Tensors, columns: int | None) -> None:
    check(arrange(tensors, columns=columns), tensors)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("columns", [1, None])
def test_every_family_is_sound(family: str, columns: int | None) -> None:
    tensors = FAMILIES[family]()
    check(arrange(tensors, columns=columns), tensors)


@settings(max_examples=60, deadline=None)
@given(models(), st.randoms(use_true_random=False))
def test_the_order_of_tensors_means_nothing(tensors: Tensors, random: object) -> None:
    shuffled = list(tensors)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, two = arrange(tensors), arrange(shuffled)
    assert layout_digest_input(one) == layout_digest_input(two)
    assert [(p.name, p.panel) for p in one.placements] == [(p.name, p.panel) for p in two.placements]
    assert one.regions == two.regions
    assert all(shuffled[p.tensor][0] == p.name.partition("[")[0] for p in two.placements if p.tensor is not None)


@settings(max_examples=60, deadline=None)
@given(models())
def test_a_slot_stands_at_the_same_place_in_all_layers_that_hold_the_same(tensors: Tensors) -> None:
    canvas = arrange(tensors)
    boxes = {(region.stack, region.layer): region.rect for region in canvas.regions if region.kind == "layer"}
    alike: defaultdict[str, set[tuple[str, tuple[int, ...]]]] = defaultdict(set)
    held: defaultdict[tuple[str, int], list[tuple[str, int]]] = defaultdict(list)
    slots: defaultdict[tuple[str, tuple[tuple[str, int], ...]], dict[tuple[str, int], set[tuple[int, int]]]] = defaultdict(dict)
    for p in canvas.placements:
        if p.role.layer is not None:
            held[p.role.stack, p.role.layer].append((p.role.slot, -1 if p.role.expert is None else p.role.expert))
    for p in canvas.placements:
        if p.role.layer is not None:
            alike[p.role.stack].add((p.role.slot, (p.grid.rows, p.grid.cols)))
            box = boxes[p.role.stack, p.role.layer]
            key = p.role.slot, -1 if p.role.expert is None else p.role.expert
            layer = p.role.stack, tuple(sorted(held[p.role.stack, p.role.layer]))
            slots[layer].setdefault(key, set()).add((p.pieces[0].x - box.x, p.pieces[0].y - box.y))
    for (stack, _), found in slots.items():
        if len({slot for slot, _ in alike[stack]}) == len(alike[stack]):
            assert all(len(spots) == 1 for spots in found.values()), stack


@settings(max_examples=60, deadline=None)
@given(
    models(),
    st.sampled_from(["embed_tokens.weight", "lm_head.weight", "proj.weight", "wpe.weight"]),
    st.integers(1, 150_000),
    st.integers(1, 70_000),
)
def test_rows_added_to_a_tensor_outside_move_no_layer(tensors: Tensors, name: str, rows: int, more: int) -> None:
    others = [(other, shape) for other, shape in tensors if other != name]
    before, after = (arrange([*others, (name, (n, 320))]) for n in (rows, rows + more))
    origins = [min((r.rect.x for r in canvas.regions), default=0) for canvas in (before, after)]
    shift = origins[1] - origins[0]
    # The first stack stands at a power of two; when that one doubles, tiles below it in the pyramid are what they were.
    for origin in origins:
        assert origin & (origin - 1) == 0
        assert origin == 0 or origin >= 4096
    layers = [
        {n: q for n, q in places(canvas).items() if n in inside} for canvas in (before, after) for inside in [_inside(canvas)]
    ]
    assert {n: [(x + shift, *rest) for x, *rest in q] for n, q in layers[0].items()} == {
        n: [tuple(p) for p in q] for n, q in layers[1].items()
    }
    assert [(r.label, r.rect.y, r.rect.x + shift) for r in before.regions] == [
        (r.label, r.rect.y, r.rect.x) for r in after.regions
    ]


def _inside(canvas: Canvas) -> set[str]:
    return {placement.name for placement in canvas.placements if placement.role.layer is not None}


def test_a_grown_vocabulary_keeps_the_tiles_of_bert() -> None:
    before, after = arrange(bert()), arrange([(n, (s[0] + 3000, *s[1:]) if "word" in n else s) for n, s in bert()])
    old, new = places(before), places(after)
    word = "embeddings.word_embeddings.weight"
    assert {n: p for n, p in old.items() if n != word} == {n: p for n, p in new.items() if n != word}


def test_layers_go_down_in_order_and_sides_are_kept() -> None:
    canvas = arrange(llama(layers=12))
    layers = [region.rect for region in canvas.regions if region.kind == "layer"]
    assert [rect.y for rect in layers] == sorted({rect.y for rect in layers})
    assert len({rect.x for rect in layers}) == 1
    stack = next(region.rect for region in canvas.regions if region.kind == "stack")
    found = places(canvas)
    assert max(x for x, *_ in found["model.embed_tokens.weight"]) < stack.x
    assert min(x for x, *_ in found["lm_head.weight"]) >= stack.x + stack.width
    assert found["model.norm.weight"][0][1] >= stack.y + stack.height


def test_columns_fold_a_stack_into_consecutive_layers() -> None:
    canvas = arrange(llama(layers=10, hidden=576, kv=192, mlp=1536), columns=3)
    columns = [(region.label, region.rect.x) for region in canvas.regions if region.kind == "column"]
    assert [label for label, _ in columns] == ["layers 0 to 3", "layers 4 to 7", "layers 8 to 9"]
    assert [x for _, x in columns] == sorted({x for _, x in columns})
    layers = {region.layer: region.rect for region in canvas.regions if region.kind == "layer"}
    assert layers[4].y == layers[8].y == layers[0].y
    assert layers[5].x == layers[4].x == columns[1][1]


def test_automatic_columns_make_a_ribbon_squarer() -> None:
    one, auto = (
        arrange(llama(layers=80, hidden=576, kv=192, mlp=1536)),
        arrange(llama(layers=80, hidden=576, kv=192, mlp=1536), columns=None),
    )
    stacks = [next(region.rect for region in canvas.regions if region.kind == "stack") for canvas in (one, auto)]
    assert stacks[0].height > 8 * stacks[0].width
    assert 0.5 < stacks[1].height / stacks[1].width < 2


def test_a_canvas_of_many_columns_stays_within_the_limit() -> None:
    check(arrange(llama(layers=64), columns=64), llama(layers=64))


def test_tall_tables_are_folded_to_a_power_of_two_near_the_stack() -> None:
    canvas = arrange(bert(layers=24))
    stack = next(region.rect for region in canvas.regions if region.kind == "stack")
    word = next(p for p in canvas.placements if p.name == "embeddings.word_embeddings.weight")
    assert stack.height == 24 * 512 - 56
    assert [piece.rows for piece in word.pieces] == [16384, 30522 - 16384]
    small = next(p for p in arrange(bert(layers=1)).placements if p.name == "embeddings.word_embeddings.weight")
    assert {piece.rows for piece in small.pieces[:-1]} == {4096}


def test_fused_experts_are_drawn_like_single_ones() -> None:
    fused = [(f"model.layers.{i}.mlp.experts.{name}", (9, 300, 200)) for i in range(2) for name in ("up_proj", "down_proj")]
    single = [
        (f"model.layers.{i}.mlp.experts.{e}.{name}", (300, 200))
        for i in range(2)
        for name in ("up_proj", "down_proj")
        for e in range(9)
    ]
    one, two = arrange(fused), arrange(single)
    spots = [{(p.role.layer, p.role.slot, p.role.expert): p.pieces for p in canvas.placements} for canvas in (one, two)]
    assert spots[0] == spots[1]
    assert [(p.panel, p.role.expert, p.name) for p in one.placements if p.tensor == 0][3] == (
        3,
        3,
        "model.layers.0.mlp.experts.up_proj[3]",
    )
    assert {p.panel for p in two.placements} == {None}


@pytest.mark.parametrize("tensors", [mixtral(layers=1), qwen3_moe_fused(layers=1), gguf_moe(layers=1)])
def test_experts_form_a_grid(tensors: Tensors) -> None:
    slots: defaultdict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for p in arrange(tensors).placements:
        if p.role.expert is not None:
            slots[p.role.slot].append((p.role.expert, p.pieces[0].y, p.pieces[0].x))
    assert slots
    for found in slots.values():
        assert [place[1:] for place in sorted(found)] == sorted(place[1:] for place in found), "experts in reading order"
        assert len({y for _, y, _ in found}) * len({x for _, _, x in found}) == len(found), "no hole in the grid"


def test_layers_that_hold_much_less_are_smaller() -> None:
    dense, moe = ("up_proj.weight", "down_proj.weight"), tuple(f"experts.{e}.up_proj.weight" for e in range(16))
    slots = {0: dense, 1: moe, 2: dense, 3: (*moe, "norm.weight"), 4: moe[:11]}
    canvas = arrange([(f"layers.{i}.mlp.{name}", (500, 500)) for i, names in slots.items() for name in names])
    sizes = {region.layer: (region.rect.width, region.rect.height) for region in canvas.regions if region.kind == "layer"}
    assert sizes[0] == sizes[2]
    assert sizes[1] == sizes[3] == sizes[4]
    assert 4 * sizes[0][0] * sizes[0][1] < sizes[1][0] * sizes[1][1]
    layers = [region.rect.y for region in canvas.regions if region.kind == "layer"]
    assert layers == sorted(layers)


def test_layers_that_are_all_of_a_kind_of_their_own_share_a_few_arrangements() -> None:
    canvas = arrange([(f"layers.{i}.slot{i}.weight", (3000 - i, 100)) for i in range(2000)])
    assert len({(r.rect.width, r.rect.height) for r in canvas.regions if r.kind == "layer"}) <= 8


def test_stacked_experts_are_drawn_like_fused_ones() -> None:
    shapes = {"w1": (300, 200), "v1": (300, 200)}
    names = [f"blocks.{i}.ffn.experts.mlp.{name}" for i in range(2) for name in shapes]
    stacked = arrange([(name, (9 * 300, 200)) for name in names], experts=9)
    assert layout_digest_input(stacked) == layout_digest_input(arrange([(name, (9, 300, 200)) for name in names]))
    for experts in (None, 7):
        assert all(p.panel is None for p in arrange([(name, (9 * 300, 200)) for name in names], experts=experts).placements)
    single = [("blocks.0.experts.0.w1", (18, 200)), ("blocks.0.experts.w_bias", (9, 200)), ("blocks.0.mlp.w1", (18, 200))]
    assert all(p.panel is None for p in arrange(single, experts=9).placements)


@pytest.mark.parametrize("family", ["lora", "lora_diffusers", "lora_kohya"])
def test_the_halves_of_an_adapter_stand_side_by_side(family: str) -> None:
    boxes: defaultdict[str, list[Rect]] = defaultdict(list)
    for p in arrange(FAMILIES[family]()).placements:
        assert p.role.layer is not None
        if p.name.endswith(".weight"):
            found = [p.rect(piece) for piece in p.pieces]
            x, y = min(r.x for r in found), min(r.y for r in found)
            right, bottom = max(r.x + r.width for r in found), max(r.y + r.height for r in found)
            boxes[p.name.rpartition(".lora_")[0]].append(Rect(x, y, right - x, bottom - y))
    for a, b in boxes.values():
        # No further apart than a row of scalars: less than three cells, across or down.
        across = max(a.x, b.x) - min(a.x + a.width, b.x + b.width)
        down = max(a.y, b.y) - min(a.y + a.height, b.y + b.height)
        assert max(across, down) <= 192, (a, b)


def test_a_stack_that_grows_is_split_into_runs() -> None:
    canvas = arrange(FAMILIES["unet"]())
    layers = {
        region.layer: region.rect for region in canvas.regions if region.kind == "layer" and region.stack == "down_blocks"
    }
    assert layers[0].width < layers[1].width < layers[2].width > layers[3].width
    assert layers[0].x == layers[3].x
    mild = arrange([(f"layers.{i}.w.weight", (100 + 30 * i, 200)) for i in range(4)])
    assert len({region.rect.height for region in mild.regions if region.kind == "layer"}) == 1


def missing(canvas: Canvas) -> set[str]:
    return {placement.name for placement in canvas.placements if placement.tensor is None}


def test_what_the_index_promises_is_reserved() -> None:
    full = llama(layers=6, vocab=1000)
    names = [name for name, _ in full]
    part = [(name, shape) for name, shape in full if not name.startswith(("model.layers.4", "model.layers.5"))]
    canvas = arrange(part, layers=6, index_names=names)
    assert missing(canvas) == set(names) - {name for name, _ in part}
    assert layout_digest_input(canvas) == layout_digest_input(arrange(full))
    assert missing(arrange(part, layers=5, index_names=names)) == {n for n in names if n.startswith("model.layers.4")}
    assert missing(arrange(part, layers={"model.layers": 5}, index_names=names)) == {
        n for n in names if n.startswith("model.layers.4")
    }
    assert missing(arrange(part, index_names=names)) == set(names) - {name for name, _ in part}
    check(canvas, part)


def test_fused_experts_are_reserved_with_all_their_panels() -> None:
    full = qwen3_moe_fused(layers=3, experts=4)
    part = [(name, shape) for name, shape in full if ".2.mlp.experts" not in name]
    canvas = arrange(part, layers=3, index_names=[name for name, _ in full])
    assert len(missing(canvas)) == 8
    assert layout_digest_input(canvas) == layout_digest_input(arrange(full))


def test_a_configuration_alone_reserves_nothing() -> None:
    part = llama(layers=2, vocab=1000)
    assert arrange(part, layers=10**9) == arrange(part)
    assert missing(arrange(part, layers=10**9, index_names=[name for name, _ in part])) == set()


def test_an_index_of_unknown_shapes_reserves_nothing() -> None:
    canvas = arrange(
        [("layers.0.a.weight", (4, 4))], index_names=["layers.1.b.weight", "other.weight", "more.0.x", "layers.1.a.weight"]
    )
    assert missing(canvas) == {"layers.1.a.weight"}


def test_nothing_to_draw_is_an_empty_canvas() -> None:
    for tensors in ([], [("layers.0.w", (0, 5)), ("x", (3, 0))]):
        canvas = arrange(tensors)
        assert (canvas.placements, canvas.regions, canvas.bounds) == ((), (), Rect(0, 0, 0, 0))


def test_two_names_for_one_place_are_both_drawn() -> None:
    tensors = [
        ("layers.0.experts.3.experts.w", (4, 4)),
        ("layers.0.experts.experts.3.w", (4, 4)),
        ("layers.0.experts.experts.w", (4, 4, 4)),
    ]
    check(arrange(tensors), tensors)


@pytest.mark.parametrize(
    "tensors",
    [
        [("x.weight", (16, 400_000))],
        [("embed.weight", (10**8, 64)), ("layers.0.w.weight", (64, 64))],
        [("lm_head.weight", (4096, 150_000)), ("embed.weight", (4096, 150_000)), ("layers.0.w.weight", (4096, 4096))],
        [("layers.0.w.weight", (100, 200_000)), ("layers.1.w.weight", (100, 200_000))],
        [(f"s{n}.layers.{i}.w.weight", (500, 20_000)) for n in range(12) for i in range(3)],
        [("norm.weight", (50_000_000,)), ("flag", (1, 1, 1, 1, 1))],
    ],
)
def test_extreme_shapes_are_folded(tensors: Tensors) -> None:
    check(arrange(tensors), tensors)


def test_a_model_of_many_matrices_without_layers_stays_within_the_limit() -> None:
    tensors = [(f"m{i}.kernel", (8000, 8000)) for i in range(330)]
    check(arrange(tensors), tensors)


def test_a_canvas_that_cannot_be_folded_names_its_tensor() -> None:
    tensors = [(f"layers.0.experts.{e}.w", (9, 60_000)) for e in range(9)] + [
        (f"embed_{i}.weight", (5000, 60_000)) for i in range(6)
    ]
    with pytest.raises(LayoutError, match=r"^\S+: the layout needs [\d,]+ pixels of width, more than 262,144$"):
        arrange(tensors + [(f"head.{i}.weight", (5000, 60_000)) for i in range(6)])


OTHERWISE = {
    "dbrx": "its norms share a module with the attention",
    "falcon_40b": "the order of its two norms before the attention",
    "granite_hybrid": "attention and state space stand in the order of their names",
    "jamba": "its dense layers' vectors share modules",
    "mamba2": "the order of its norms",
    "qwen2_moe": "the gate of the shared expert is a vector, beside another matrix",
    "rwkv6": "a norm of the embedding is in layer 0",
    "t5": "norms and position biases are in modules of the attention",
    "umt5": "norms and position biases are in modules of the attention",
}
"""Families that GGUF's names lay out otherwise than Hugging Face's, and why."""


@pytest.mark.parametrize("family", families.ARCHITECTURES)
def test_one_model_in_two_formats_has_one_layout(family: str) -> None:
    """So that they can be compared pixel by pixel; names by the tables of the gguf package."""
    shapes = families.language(family)
    pairs = [(one, other) for one, other in families.in_gguf(shapes, families.ARCHITECTURES[family]).items() if other]
    one, two = (arrange([(pair[i], shapes[pair[0]]) for pair in pairs]) for i in (0, 1))
    ours, theirs = places(one), places(two)
    assert all(ours.get(a) == theirs.get(b) for a, b in pairs) == (family not in OTHERWISE)
