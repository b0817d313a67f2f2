"""In: models and tile maps. Out: data scripts that hold them exactly, in few bytes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import synthetic
from synthetic import Built

from mwv.layout.canvas import Canvas, Piece, Placement, Rect, Role
from mwv.layout.grid import Grid
from mwv.measure.stats import profile
from mwv.site.data import DETAIL_NUMBERS, PIECE, parse, scene_files, script, tile_paths
from mwv.site.model import Model, Scene, TensorRow, TileFiles


def facts(model: Model, files: TileFiles) -> dict[str, Any]:
    value: dict[str, Any] = parse(scene_files(model, 0, files)[-1].content, "scene")
    return value


def test_what_is_no_data_script_is_refused() -> None:
    content = script("a", "scene", '{"x":1}').content
    assert parse(content, "scene") == {"x": 1}
    for damaged in (content[:-2], content[4:], content.replace(b"scene", b"model"), b"mwv.scene({);\n"):
        with pytest.raises(ValueError):
            parse(damaged, "scene")


def test_the_table_holds_every_tensor(odd: Built) -> None:
    columns = facts(odd.model, odd.files)["tensors"]
    for index, tensor in enumerate(odd.model.tensors):
        assert columns["name"][index] == tensor.name
        assert columns["dtypes"][columns["dtype"][index]] == tensor.dtype
        assert tuple(columns["shapes"][columns["shape"][index]]) == tensor.shape
        assert columns["shards"][columns["shard"][index]] == tensor.shard
        assert (columns["offset"][index], columns["bytes"][index]) == (tensor.offset, tensor.nbytes)
        assert tensor.digest.startswith(columns["digest"][index])
        assert columns["notes"].get(str(index), "") == tensor.note


def test_placements_hold_everything(odd: Built) -> None:
    columns = facts(odd.model, odd.files)["placements"]
    for index, placement in enumerate(odd.model.scenes[0].canvas.placements):
        g = placement.grid
        assert columns["grids"][columns["grid"][index]] == [g.rows, g.cols, g.row_elements, g.elements, *g.patch, *g.thick]
        assert columns["tensor"][index] == (-1 if placement.tensor is None else placement.tensor)
        assert columns["stacks"][columns["stack"][index]] == placement.role.stack
        assert columns["slots"][columns["slot"][index]] == placement.role.slot
        assert columns["layer"][index] == (-1 if placement.role.layer is None else placement.role.layer)
        assert columns["pieces"][index] == [n for p in placement.pieces for n in (p.x, p.y, p.row, p.col, p.rows, p.cols)]
    missing = len(columns["tensor"]) - 1
    assert columns["names"] == {str(missing): "lm_head.weight"}
    assert columns["nan"] == columns["inf"] == {"0": 1}


def test_details_are_found_by_their_first_tensor(odd: Built) -> None:
    files = {file.name: file.content for file in scene_files(odd.model, 0, odd.files)}
    index = parse(files[next(name for name in files if name.startswith("scene-"))], "scene")["details"]
    assert len(index["files"]) > 1 and index["first"][0] == 0
    position = 0
    for first, name in zip(index["first"], index["files"], strict=True):
        value = parse(files[name], "details")
        assert value["first"] == first == position
        for entry in value["tensors"]:
            tensor = odd.model.tensors[position]
            assert entry["digest"] == tensor.digest
            for panel, stats in zip(entry["panels"], tensor.stats, strict=True):
                assert panel["mean"] == stats.mean and panel["histogram"] == list(stats.histogram)
                assert panel["percentiles"] == [list(pair) for pair in stats.percentiles]
                assert panel["row_rms"] == pytest.approx(stats.row_rms, rel=1e-3)
            position += 1
        assert len(files[name]) < 2 * 8 * DETAIL_NUMBERS
    assert position == len(odd.model.tensors)


def test_numbers_that_json_cannot_hold_become_null(tiny: Built) -> None:
    row = tiny.model.tensors[0]
    stats = replace(
        row.stats[0], mean=float("nan"), row_rms=profile([1.0, float("inf"), float("nan"), 2.5e-7]), maximum=float("inf")
    )
    model = replace(tiny.model, tensors=(replace(row, stats=(stats,)), *tiny.model.tensors[1:]))
    files = scene_files(model, 0, tiny.files)
    panel = parse(files[0].content, "details")["tensors"][0]["panels"][0]
    assert panel["mean"] is None and panel["row_rms"] == [1, None, None, 2.5e-7]
    assert parse(files[-1].content, "scene")["placements"]["maximum"][0] is None


def test_the_tile_map_tells_every_tile_and_no_other(tiny: Built) -> None:
    for built in (tiny, synthetic.many_tiles(tiny, across=40)):
        files = {file.name: file.content for file in scene_files(built.model, 0, built.files)}
        scene = built.model.scenes[0]
        tiles = parse(files[list(files)[-1]], "scene")["tiles"]
        found = {}
        for level, pieces in [*tiles["map"].items(), *tiles["pieces"].items()]:
            for place, value in pieces.items():
                column, row = map(int, place.split(","))
                entries = value
                if isinstance(value, str):
                    piece = parse(files[f"tiles-0-{level}-{column}-{row}-{value}.js"], "tileMap")
                    assert (piece["scene"], piece["level"], piece["x"], piece["y"]) == (0, int(level), column, row)
                    entries = piece["keys"]
                for i, key in enumerate(entries):
                    if key:
                        found[int(level), column * PIECE + i % PIECE, row * PIECE + i // PIECE] = key
        assert found == scene.tiles
        assert tiles["count"] == len(scene.tiles)
    assert set(tiles["pieces"]) == {"0"} and not tiles["map"]


def test_pictures_with_another_suffix_are_marked(tiny: Built) -> None:
    keys = sorted(set(tiny.model.scenes[0].tiles.values()))
    files = replace(tiny.files, suffix="avif", png=frozenset(keys[:1]), windows=((0.125, 2.0), (0.25, 1.0)))
    tiles = facts(tiny.model, files)["tiles"]
    named = {key for level in tiles["map"].values() for entries in level.values() for key in entries if key}
    assert named == {f"{keys[0]}.png", *keys[1:]}
    assert tiles["picture"] and tiles["suffix"] == "avif"
    assert tiles["windows"] == [[0.125, 2.0], [0.25, 1.0]]
    assert "windows" not in facts(tiny.model, tiny.files)["tiles"]
    paths = tile_paths(tiny.model.slug, dict(enumerate(tiny.model.scenes)), files)
    assert f"tiles/{keys[0][:2]}/{keys[0]}.png" in paths and f"tiles/{keys[1][:2]}/{keys[1]}.avif" in paths


def test_a_scene_of_20_000_tensors_is_at_most_5_mb(tiny: Built) -> None:
    count = 20_000
    stats = tiny.model.tensors[0].stats[0]
    grid = Grid(2048, 768, 768, 2048 * 768)
    rows, placements = [], []
    for i in range(count):
        layer, expert = divmod(i, 320)
        name = f"model.layers.{layer}.mlp.experts.{expert}.gate_up_proj.weight_packed"
        # Numbers of full length, as measured ones are.
        measured = replace(stats, rms=0.0123456789 + i * 1e-9, minimum=-0.123456789 - i * 1e-9, maximum=0.123456789 + i * 1e-9)
        place = i * 3_145_728
        rows.append(
            TensorRow(
                name, "BF16", (2048, 768), f"model-{layer:05}.safetensors", place, 3_145_728, f"{i:064x}"[::-1], (measured,)
            )
        )
        role = Role("model.layers", layer, "mlp.experts.gate_up_proj.weight_packed", expert)
        placements.append(
            Placement(name, i, None, grid, role, (Piece(204_800 + expert * 512, 100_000 + layer * 2560, 0, 0, 2048, 768),))
        )
    canvas = Canvas(Rect(0, 0, 262_144, 262_144), tuple(placements), ())
    tiles = {(0, x, y): f"{x:016x}{y:016x}" for x in range(200) for y in range(150)}
    scene = Scene("values", "Weights", canvas, "0" * 32, 10, tiles, ((0.1, 0.2),) * 10, (2**-10, 2.0))
    model = replace(tiny.model, tensors=tuple(rows), scenes=(scene,))
    light = replace(
        model,
        tensors=tuple(replace(row, stats=(replace(row.stats[0], row_rms=profile([]), col_rms=profile([])),)) for row in rows),
    )
    content = scene_files(light, 0, TileFiles("png", {key: Path() for key in tiles.values()}))[-1].content
    assert len(content) < 5_000_000
    assert len(json.loads(content[len(b"mwv.scene(") : -3])["placements"]["tensor"]) == count
