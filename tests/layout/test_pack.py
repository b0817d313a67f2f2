from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mwv.layout.pack import Arrangement, Slot, pack

NAMES = (
    "self_attn.q_proj.weight",
    "self_attn.k_proj.weight",
    "self_attn.q_proj.bias",
    "mlp.up_proj.weight",
    "mlp.down_proj.weight",
    "mlp.experts.up.weight",
    "norm.weight",
    "norm.bias",
    "other",
)


def cells(slot: Slot, arrangement: Arrangement) -> list[tuple[int, int, int, int]]:
    """Rectangles that a slot covers: every panel of every expert."""
    spot = arrangement.spots[slot.path, slot.kind]
    panels = -(-slot.height // spot.panel)
    pitch = -(-(slot.width + 8) // 8) * 8
    return [
        (x + i * pitch, y, slot.width, min(spot.panel, slot.height - i * spot.panel))
        for x, y in map(spot.expert, range(slot.experts))
        for i in range(panels)
    ]


slots = st.lists(st.sampled_from(NAMES), min_size=1, max_size=len(NAMES), unique=True).flatmap(
    lambda names: st.tuples(
        *(
            st.builds(
                lambda height, width, experts, vector, name=name, many=9 * ("experts" in name): Slot(
                    name, 8 if vector else height, width, experts=min(experts, max(1, many)), vector=vector and not many
                ),
                st.integers(1, 5000),
                st.integers(1, 5000),
                st.integers(1, 9),
                st.booleans(),
            )
            for name in names
        )
    )
)


@settings(max_examples=60, deadline=None)
@given(slots)
def test_slots_keep_apart_start_on_cells_and_stay_in_the_box(found: tuple[Slot, ...]) -> None:
    arrangement = pack(found)
    rects = [rect for slot in found for rect in cells(slot, arrangement)]
    for x, y, width, height in rects:
        assert x % 8 == y % 64 == 0
        assert x + width <= arrangement.width
        assert y + height <= arrangement.height
    for (ax, ay, aw, ah), (bx, by, bw, bh) in combinations(rects, 2):
        assert ax + aw + 8 <= bx or bx + bw + 8 <= ax or ay + ah + 8 <= by or by + bh + 8 <= ay


@settings(max_examples=30, deadline=None)
@given(slots, st.randoms())
def test_the_order_of_slots_means_nothing(found: tuple[Slot, ...], random: object) -> None:
    assert pack(tuple(reversed(found))) == pack(found)


def llama(hidden: int, kv: int, mlp: int) -> tuple[Slot, ...]:
    shapes = {
        "self_attn.q_proj": (hidden, hidden),
        "self_attn.k_proj": (kv, hidden),
        "self_attn.v_proj": (kv, hidden),
        "self_attn.o_proj": (hidden, hidden),
        "mlp.gate_proj": (mlp, hidden),
        "mlp.up_proj": (mlp, hidden),
        "mlp.down_proj": (hidden, mlp),
    }
    norms = [Slot(f"{name}_layernorm.weight", 8, hidden, vector=True) for name in ("input", "post_attention")]
    return (*(Slot(f"{name}.weight", *shape) for name, shape in shapes.items()), *norms)


@pytest.mark.parametrize(
    ("hidden", "kv", "mlp"),
    [(576, 192, 1536), (2048, 512, 8192), (4096, 1024, 14336), (4096, 4096, 11008), (8192, 1024, 28672)],
)
def test_a_llama_layer_is_well_filled_and_wide(hidden: int, kv: int, mlp: int) -> None:
    found = llama(hidden, kv, mlp)
    arrangement = pack(found)
    used = sum(slot.width * slot.height for slot in found)
    assert used / (arrangement.width * arrangement.height) > 0.75
    assert 4 < arrangement.width / arrangement.height < 24


def test_tall_matrices_are_folded_into_whole_bands_square_ones_not() -> None:
    arrangement = pack(llama(4096, 1024, 14336))
    assert arrangement.spots["self_attn.q_proj.weight", 0].panel == 4096
    gate, up = (arrangement.spots[f"mlp.{name}_proj.weight", 0] for name in ("gate", "up"))
    assert gate.panel == up.panel < 14336
    assert gate.panel % 64 == 0


def test_a_panel_is_a_multiple_of_the_step() -> None:
    tall = Slot("conv.weight", 3 * 4096, 192, step=192)
    assert pack((tall, Slot("other.weight", 700, 9000))).spots["conv.weight", 0].panel % 192 == 0


def test_experts_stand_in_the_same_cell_of_every_sub_weight() -> None:
    gate, down = (
        Slot("mlp.experts.gate_proj.weight", 768, 2048, experts=128, kind=2),
        Slot("mlp.experts.down_proj.weight", 2048, 768, experts=128, kind=2),
    )
    spots = pack((gate, down)).spots
    across = spots[gate.path, 2].across
    assert across == spots[down.path, 2].across
    assert 128 % across == 0
    assert 1 / 8 < across / (128 / across) < 9


def test_vectors_lie_below_their_matrix_where_that_costs_nothing() -> None:
    spots = pack(
        (
            Slot("a.q.weight", 600, 600),
            Slot("a.q.bias", 8, 600, vector=True),
            Slot("a.k.weight", 600, 600),
            Slot("a.k.bias", 8, 600, vector=True),
        )
    ).spots
    for name in "qk":
        matrix, bias = spots[f"a.{name}.weight", 0], spots[f"a.{name}.bias", 0]
        assert (bias.x, bias.y) == (matrix.x, matrix.y + 640)


def test_thousands_of_slots_are_arranged_without_a_search() -> None:
    many = tuple(Slot(f"m{i}.weight", 64 + i % 90, 100) for i in range(3000))
    arrangement = pack(many)
    assert len(arrangement.spots) == 3000
