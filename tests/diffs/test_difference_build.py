"""`mwv build --diff`: every pixel of every scene against float64 numpy, the invariants of a build, and what is refused."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import oracle
import pytest
from buildkit import script, settled, tree
from click.testing import CliRunner
from pairs_of_models import told
from safetensors.numpy import save_file

from mwv.build import build, dry_run
from mwv.cli import cli
from mwv.errors import MwvError
from mwv.pyramid.png import decode_gray
from mwv.settings import ModelSettings, Settings
from mwv.site.writer import regenerate

LEVELS = 6
"""Overviews that are compared; pixels of the canvas are cropped at multiples of 2 ** LEVELS."""
EMBED = "model.embed_tokens.weight"


def weights(seed: int, rows: int = 300) -> dict[str, Any]:
    """A model of three layers; seeds differ in layer 1, in the vocabulary's rows, and in what is odd."""
    fixed, own = np.random.default_rng(1), np.random.default_rng(seed)
    made = {
        f"model.layers.{n}.{name}": fixed.standard_normal(shape).astype(np.float32) * np.float32(0.03)
        for n in range(3)
        for name, shape in (("self_attn.q_proj.weight", (130, 96)), ("mlp.up_proj.weight", (700, 96)), ("norm.weight", (96,)))
    }
    made[EMBED] = fixed.standard_normal((400, 96)).astype(np.float16)[:rows]
    if seed:
        name = "model.layers.1.mlp.up_proj.weight"
        made[name] = made[name] + own.standard_normal((700, 96)).astype(np.float32) * np.float32(1e-3)
        made[name][:64] = made["model.layers.1.mlp.up_proj.weight"][:64]
        made[name][100, :4] = [np.nan, np.inf, -np.inf, 0]
        one = "model.layers.2.self_attn.q_proj.weight"
        made[one] = made[one].copy()
        made[one][7, 7] = np.nextafter(made[one][7, 7], np.float32(9))
    return made


def write(folder: Path, tensors: dict[str, Any], card: str = "") -> Path:
    folder.mkdir(parents=True)
    save_file({name: np.ascontiguousarray(t) for name, t in tensors.items()}, folder / "model.safetensors")
    settled(folder / "model.safetensors")
    if card:
        (folder / "README.md").write_text(card)
    return folder


def run(a: Path, b: Path, site: Path, cache: Path | None, **options: Any) -> dict[str, Any]:
    report = site.parent / f"{site.name}.json"
    build(Settings((ModelSettings(b, against=a),), site, cache, report=report, **options))
    found: dict[str, Any] = json.loads(report.read_text())["models"][0]
    return found


def scene(site: Path, index: int) -> dict[str, Any]:
    (path,) = site.glob(f"*/scene-{index}-*.js")
    return script(path)


def values(name: str, a: dict[str, Any], b: dict[str, Any], exponent: int) -> Any:
    """What a scene of differences shows of a tensor, in its unit, by numpy."""
    if name not in a or name not in b:
        return (a.get(name) if name in a else b[name]).astype(np.float64)
    x, y = a[name].astype(np.float32), b[name].astype(np.float32)
    long, rows = max(x, y, key=len), min(len(x), len(y))
    made = long.astype(np.float64).copy()
    with np.errstate(all="ignore"):
        made[:rows] = (y[:rows] - x[:rows]).astype(np.float64)
    made[:rows][(x[:rows] == y[:rows]) | (np.isnan(x[:rows]) & np.isnan(y[:rows]))] = 0
    return np.ldexp(made, exponent)


def drawn(facts: dict[str, Any], of: Any) -> tuple[Any, Any, Any, int, int]:
    """Values, where there are any, and what is missing, on the cropped canvas of a scene; and its corner."""
    side = 1 << LEVELS
    x0, y0, w, h = facts["bounds"]
    left, top = x0 // side * side, y0 // side * side
    shape = (-(-(y0 + h - top) // side) * side, -(-(x0 + w - left) // side) * side)
    picture, real, missing = np.zeros(shape), np.zeros(shape, bool), np.zeros(shape, bool)
    placed = facts["placements"]
    for i, tensor in enumerate(placed["tensor"]):
        *_, high, wide = placed["grids"][placed["grid"][i]]
        name = placed["names"].get(str(i)) or facts["tensors"]["name"][tensor]
        for x, y, row, col, rows, cols in np.reshape(placed["pieces"][i], (-1, 6)).tolist():
            window = slice(y - top, y - top + rows * high), slice(x - left, x - left + cols * wide)
            if tensor < 0:
                missing[window] = True
                continue
            grid = of(name, facts["tensors"]["exponents"].get(str(tensor), 0))
            grid = grid.reshape(1, -1) if grid.ndim < 2 else grid
            part = grid[row : row + rows, col : col + cols]
            picture[window] = part.repeat(high, 0).repeat(wide, 1)
            real[window] = True
    return picture, real, missing, left, top


def tiles(site: Path, facts: dict[str, Any], level: int) -> dict[tuple[int, int], Any]:
    """The tiles of a level by place."""
    found: dict[tuple[int, int], Any] = {}
    pieces = list(facts["tiles"]["map"].get(str(level), {}).items())
    for path in site.glob(f"*/tiles-{facts['index']}-{level}-*.js"):
        piece = script(path)
        pieces.append((f"{piece['x']},{piece['y']}", piece["keys"]))
    for place, keys in pieces:
        column, row = map(int, place.split(","))
        for i, key in enumerate(keys):
            if key:
                data = (site / "tiles" / key[:2] / f"{key}.png").read_bytes()
                found[column * 16 + i % 16, row * 16 + i // 16] = decode_gray(data)
    return found


def check_scene(site: Path, index: int, of: Any) -> None:
    """Every pixel of a scene's leaves and of its overviews is what numpy says."""
    facts = scene(site, index)
    picture, real, missing, left, top = drawn(facts, of)
    leaf = oracle.leaf(picture)
    leaf[~real] = 0
    leaf[missing] = 251
    wanted = [(leaf, None, None), *oracle.overviews(picture, real, missing, LEVELS)]
    for level, (codes, mean, share) in enumerate(wanted):
        got = np.zeros_like(codes)
        for (x, y), tile in tiles(site, facts, level).items():
            corner_x, corner_y = x * 512 - (left >> level), y * 512 - (top >> level)
            h, w = codes.shape
            x0, y0, x1, y1 = max(corner_x, 0), max(corner_y, 0), min(corner_x + 512, w), min(corner_y + 512, h)
            if x0 < x1 and y0 < y1:
                got[y0:y1, x0:x1] = tile[y0 - corner_y : y1 - corner_y, x0 - corner_x : x1 - corner_x]
        if level == 0:
            assert np.array_equal(got, codes), index
        else:
            differ, unexcused = oracle.disagreement(got, codes, mean, share)
            assert unexcused == 0 and differ <= 1e-3 * codes.size, (index, level)


CASES = {
    "changed": (weights(0), weights(2)),
    "grown": (weights(0), weights(2, 364)),
    "shrunk": (weights(0, 364), weights(2)),
    "lacking": (
        {**weights(0), "old.weight": np.full((20, 30), 0.5, np.float32)},
        {**weights(2), "new.weight": np.full((9, 8), -2, np.float16), "score.weight": np.ones((3, 96), np.float32)},
    ),
    "types": tuple({**weights(0), "types.weight": np.full((rows, 96), rows, np.float32)} for rows in (1, 3)),
    "half": (weights(0), {name: t.astype(np.float16) for name, t in weights(0).items()}),
}


@pytest.mark.parametrize("case", CASES)
def test_every_pixel_is_the_difference_or_a_side(tmp_path: Path, case: str) -> None:
    a, b = CASES[case]
    site = tmp_path / "site"
    run(write(tmp_path / "a", a), write(tmp_path / "b", b), site, tmp_path / "cache", finetune=False)
    check_scene(site, 0, lambda name, exponent: values(name, a, b, exponent))
    for index, side in ((1, a), (2, b)):
        check_scene(site, index, lambda name, _, side=side: side[name].astype(np.float64))


@pytest.mark.parametrize(("metric", "exponent"), [("abs-log", 10), ("exact", 0)])
def test_a_metric_says_how(tmp_path: Path, metric: Any, exponent: int) -> None:
    a, b = CASES["changed"]
    site = tmp_path / "site"
    run(write(tmp_path / "a", a), write(tmp_path / "b", b), site, tmp_path / "cache", metric=metric)

    def of(name: str, _: int) -> Any:
        found = values(name, a, b, exponent)
        if metric == "abs-log":
            return found
        return np.where(np.isfinite(found), np.sign(found), np.nan)

    check_scene(site, 0, of)


def test_the_unit_is_the_rms_of_the_whole_original(tmp_path: Path) -> None:
    a, b = CASES["changed"]
    run(write(tmp_path / "a", a), write(tmp_path / "b", b), tmp_path / "site", tmp_path / "cache")
    tensors = scene(tmp_path / "site", 0)["tensors"]
    for i, name in enumerate(tensors["name"]):
        rms = float(np.sqrt(np.mean(a[name].astype(np.float64) ** 2)))
        assert tensors["exponents"].get(str(i), 0) == -round(np.log2(rms)), name


def test_the_page_tells_the_numbers_of_each_pair(tmp_path: Path) -> None:
    a, b = CASES["lacking"]
    run(write(tmp_path / "a", a), write(tmp_path / "b", b), tmp_path / "site", tmp_path / "cache", finetune=False)
    facts = scene(tmp_path / "site", 0)
    difference, placed = facts["difference"], facts["placements"]
    for i, tensor in enumerate(placed["tensor"]):
        name = facts["tensors"]["name"][tensor]
        if name not in a or name not in b:
            assert difference["alone"][str(i)] == ("a" if name in a else "b")
            assert all(column[i] is None for column in difference["columns"].values())
            continue
        for key, expected in told(a[name], b[name]).items():
            found = difference["columns"].get(key, {i: expected})[i]
            assert found == expected or abs(found - expected) <= 1e-5 * abs(expected), (name, key)
    assert difference["compared"] == len(a) - 1 and difference["identical"] == difference["compared"] - 2


def test_a_tensor_with_more_rows_is_not_identical(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", weights(0)), write(tmp_path / "b", weights(0, 364))
    run(a, b, tmp_path / "site", None)
    difference = scene(tmp_path / "site", 0)["difference"]
    assert difference["compared"] == len(weights(0)) and difference["identical"] == difference["compared"] - 1


def test_any_cache_and_any_threads_give_the_same_site(tmp_path: Path) -> None:
    a, b = (write(tmp_path / name, t) for name, t in zip("ab", CASES["grown"], strict=True))
    run(a, b, tmp_path / "one", tmp_path / "cache", jobs=1)
    first = tree(tmp_path / "one")
    run(a, b, tmp_path / "two", tmp_path / "other", jobs=3)
    run(a, b, tmp_path / "warm", tmp_path / "cache", jobs=2)
    run(a, b, tmp_path / "none", None, jobs=2)
    shutil.rmtree(tmp_path / "other" / "index")
    run(a, b, tmp_path / "advice", tmp_path / "other", jobs=2)
    for name in ("two", "warm", "none", "advice"):
        assert tree(tmp_path / name) == first, name


def test_a_second_build_draws_and_reads_nothing(tmp_path: Path) -> None:
    a, b = (write(tmp_path / name, t) for name, t in zip("ab", CASES["grown"], strict=True))
    assert run(a, b, tmp_path / "site", tmp_path / "cache")["tiles"]["rendered"] > 0
    for site in ("site", "another"):
        found = run(a, b, tmp_path / site, tmp_path / "cache")
        assert found["tiles"]["rendered"] == 0
        assert found["bytes"]["read"] + found["bytes"]["hashed"] == 0


def test_sides_that_were_drawn_are_not_drawn_again_and_equal_bands_not_read(tmp_path: Path) -> None:
    a, b = (write(tmp_path / name, t) for name, t in zip("ab", CASES["changed"], strict=True))
    build(Settings((ModelSettings(a), ModelSettings(b)), tmp_path / "models", tmp_path / "cache"))
    found = run(a, b, tmp_path / "site", tmp_path / "cache")
    differing = (
        weights(0)["model.layers.1.mlp.up_proj.weight"].nbytes + weights(0)["model.layers.2.self_attn.q_proj.weight"].nbytes
    )
    # Measured once and drawn once, of both sides.
    assert 0 < found["bytes"]["read"] + found["bytes"]["hashed"] <= 4 * differing + 1024


def test_identical_models_cost_nothing(tmp_path: Path) -> None:
    a = write(tmp_path / "a", weights(0))
    b = write(tmp_path / "b", weights(0))
    build(Settings((ModelSettings(a), ModelSettings(b)), tmp_path / "models", tmp_path / "cache"))
    found = run(a, b, tmp_path / "site", tmp_path / "cache")
    assert found["bytes"]["read"] + found["bytes"]["hashed"] == 0
    assert scene(tmp_path / "site", 0)["difference"]["total"]["changed"] == 0


@pytest.mark.parametrize(
    "card",
    [
        "base_model: Owner/BASE",
        "base_model:\n- owner/other\n- owner/base",
        "base_model: base\nbase_model_relation: finetune",
        "base_model: owner/base\nbase_model_relation:",
    ],
)
def test_a_card_that_names_the_original_makes_a_finetune(tmp_path: Path, card: str) -> None:
    a, b = write(tmp_path / "base", weights(0)), write(tmp_path / "tuned", weights(2), f"---\n{card}\n---\n")
    run(a, b, tmp_path / "site", None)
    assert scene(tmp_path / "site", 0)["difference"]["finetune"]


def test_a_finetune_with_new_tensors_is_refused_until_it_is_allowed(tmp_path: Path) -> None:
    card = "---\nbase_model: owner/base\n---\n# A finetune\n"
    a, b = write(tmp_path / "base", weights(0)), write(tmp_path / "tuned", weights(2, 364), card)
    with pytest.raises(MwvError, match=r"is a finetune with 1 tensor new or of another shape: 'model\.embed_tokens\.weight'"):
        run(a, b, tmp_path / "site", None)
    run(a, b, tmp_path / "site", None, allow_new=True)
    assert scene(tmp_path / "site", 0)["difference"]["finetune"]
    run(a, b, tmp_path / "plain", None, finetune=False)
    assert not scene(tmp_path / "plain", 0)["difference"]["finetune"]


def test_the_original_is_to_be_named_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = "---\nbase_model: owner/base\n---\n"
    a, b = write(tmp_path / "base", weights(0)), write(tmp_path / "tuned", weights(2), card)
    run(a, b, tmp_path / "site", None)
    assert "name the original first" not in capsys.readouterr().err
    run(b, a, tmp_path / "turned", None)
    assert (
        "tuned: its model card says that it is a finetune of base; name the original first: --diff base tuned"
        in capsys.readouterr().err
    )


def test_the_line_of_a_build_says_how_far_both_differ(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = np.random.default_rng(1).standard_normal((300, 200)).astype(np.float32)
    y = x.copy()
    y[:30] *= np.float32(1.5)
    y[40, 3] = np.nan
    a, b = write(tmp_path / "a", {"w": x}), write(tmp_path / "b", {"w": y})
    run(a, b, tmp_path / "site", tmp_path / "cache")
    finite = np.isfinite(y)
    d = (y[finite].astype(np.float64) - x[finite]) ** 2
    snr = 10 * np.log10(np.sum(x[finite].astype(np.float64) ** 2) / np.sum(d))
    words = f"; {100 * 6001 / 60000:.3g} % changed, SNR {snr:.1f} dB; NaN or Inf on one side in 1 tensor\n"
    assert words in capsys.readouterr().err
    run(a, b, tmp_path / "site", tmp_path / "cache")
    assert words in capsys.readouterr().err
    run(a, a, tmp_path / "same", None)
    assert "; no weight changed\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    "card",
    [
        "base_model: owner/other",
        "base_model: " + 5000 * "[",
        "base_model: owner/base\nbase_model_relation: quantized",
        "base_model: owner/base\nbase_model_relation: adapter",
        "base_model: [owner/base, owner/other]\nbase_model_relation: merge",
        "base_model: [",
        "- 1",
    ],
)
def test_other_cards_make_no_finetune(tmp_path: Path, card: str) -> None:
    a, b = write(tmp_path / "base", weights(0)), write(tmp_path / "tuned", weights(2, 364), f"---\n{card}\n---\n")
    run(a, b, tmp_path / "site", None)
    assert not scene(tmp_path / "site", 0)["difference"]["finetune"]


def test_several_are_compared_with_the_first(tmp_path: Path) -> None:
    paths = [write(tmp_path / name, weights(seed)) for name, seed in (("a", 0), ("b", 2), ("c", 3))]
    arguments = ["build", "--diff", *map(str, paths), "-o", str(tmp_path / "site"), "--no-cache"]
    CliRunner().invoke(cli, arguments, catch_exceptions=False, standalone_mode=False)
    manifest = json.loads((tmp_path / "site" / "site.json").read_text())
    assert [model["compares"] for model in manifest["models"]] == [["a", "b"], ["a", "c"]]
    page = (tmp_path / "site" / "changes.html").read_text()
    ticks = [
        (float(y), int(db)) for y, db in re.findall(r'<path class="rule" d="M0 ([\d.]+)H.*?>(-?\d+)</text>', page, re.DOTALL)
    ]
    (high, most), (low, least) = max(ticks, key=lambda tick: tick[1]), min(ticks, key=lambda tick: tick[1])
    for seed, line in zip((2, 3), re.findall(r'<path class="line" d="([^"]*)"', page), strict=True):
        found = [least + (low - float(y)) / (low - high) * (most - least) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", line)]
        expected = [_snr_of_layer(weights(0), weights(seed), n) for n in (1, 2)]
        assert np.allclose(found, expected, atol=0.3), seed
        name = "b" if seed == 2 else "c"
        told = [float(db) for db in re.findall(rf"<title>{name}, layer [12]: (-?[\d.]+) dB</title>", page)]
        assert np.allclose(told, expected, atol=0.051), seed
        assert f"<title>{name}, layer 0:" not in page
    assert "layer 0, mlp.up_proj.weight: identical" in page
    run(paths[0], paths[1], tmp_path / "one", None)
    assert not (tmp_path / "one" / "changes.html").exists()


def test_a_page_of_all_differences_stands_values_that_cannot_be_squared(tmp_path: Path) -> None:
    sizes = {"a": 1e200, "b": 1e-200, "c": 1.0}
    base = {f"layers.{n}.{slot}.weight": np.full((4, 4), size) for n in range(2) for slot, size in sizes.items()}
    others = [{name: t * factor for name, t in base.items()} for factor in (1, 2, np.nan)]
    paths = [write(tmp_path / f"m{i}", tensors) for i, tensors in enumerate((base, *others))]
    arguments = ["build", "--diff", *map(str, paths), "-o", str(tmp_path / "site"), "--no-cache"]
    CliRunner().invoke(cli, arguments, catch_exceptions=False, standalone_mode=False)
    page = (tmp_path / "site" / "changes.html").read_text()
    cells = re.findall(r"layer 1, c.weight: ([^<\"]*)", page)
    assert [cell.strip() for cell in cells] == ["identical", "relative change 100 %", "not finite"]


def _snr_of_layer(a: dict[str, Any], b: dict[str, Any], layer: int) -> float:
    noise = signal = 0.0
    for name, x in a.items():
        if f"layers.{layer}." in name:
            y = b[name].astype(np.float64)
            both = np.isfinite(y)
            noise += float(np.sum((y[both] - x[both]) ** 2))
            signal += float(np.sum(x[both].astype(np.float64) ** 2))
    return float(10 * np.log10(signal / noise))


def test_other_files_of_folders_have_a_page(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", weights(0)), write(tmp_path / "b", weights(2))
    site, cache = tmp_path / "site", tmp_path / "cache"
    (a / "config.json").write_text('{"hidden_size": 96, "<i>": 1}')
    (b / "config.json").write_text('{"hidden_size": 128, "<i>": 1}')
    assert run(a, b, site, cache)["change"] == "new"
    page, first = ((site / "a-to-b" / name).read_text() for name in ("files.html", "index.html"))
    assert "hidden_size" in page and "128" in page and "<i>" not in page
    assert 'href="files.html"' in first and "hidden_size" in first
    assert run(a, b, site, cache)["change"] == "unchanged"
    (b / "config.json").write_text('{"hidden_size": 256, "<i>": 1}')
    again = run(a, b, site, cache)
    assert again["change"].startswith("changed") and again["tiles"]["rendered"] == 3  # of the bytes of config.json
    assert "256" in (site / "a-to-b" / "files.html").read_text()
    assert len(list((site / "a-to-b").glob("files-*.json"))) == 1
    before = tree(site)
    regenerate(site)
    assert tree(site) == before
    run(a / "model.safetensors", b / "model.safetensors", tmp_path / "files", cache)
    assert not list((tmp_path / "files").rglob("files.html"))


def test_a_damaged_record_of_other_files_is_an_error_of_one_line(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", weights(0)), write(tmp_path / "b", weights(2))
    run(a, b, tmp_path / "site", None)
    (record,) = (tmp_path / "site" / "a-to-b").glob("files-*.json")
    for content in (b"", b"[", b"[]", b"{}", b'{"counts": 1, "summary": [], "files": [1], "notes": 3}'):
        record.write_bytes(content)
        with pytest.raises(MwvError, match="damaged"):
            regenerate(tmp_path / "site")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--diff", "a"], "name the original first"),
        (["a", "b", "--diff-metric", "exact"], "give --diff"),
        (["a", "--allow-new"], "give --diff"),
        (["a", "--no-finetune"], "give --diff"),
        (["--diff", "a", "b", "--finetune", "--no-finetune"], "contradict"),
        (["--diff", "a", "b", "--layout", "hilbert", "--allow-new"], "contradict"),
        (["--diff", "a", "b", "--show-xet-xorbs"], "contradict"),
        (["--diff", "a", "b", "--tile-format", "avif"], "contradict"),
        (["--diff", "a", "b", "--layout", "hilbert", "--only", "x"], "contradict"),
        (["--diff", "a", "b", "--layout", "hilbert", "--dry-run"], "contradict"),
    ],
)
def test_contradictions_are_errors_before_any_work(tmp_path: Path, arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(cli, ["build", *arguments, "-o", str(tmp_path / "site")], standalone_mode=False)
    assert isinstance(result.exception, MwvError) and result.exception.exit_code == 2
    assert words in str(result.exception) and not (tmp_path / "site").exists()


def test_a_part_of_the_tensors_is_compared_and_the_page_says_so(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", weights(0)), write(tmp_path / "b", weights(2))
    site, cache = tmp_path / "site", tmp_path / "cache"
    wanted = ModelSettings(b, against=a, only=("*.1.*", EMBED))
    build(Settings((wanted,), site, cache))
    names = scene(site, 0)["tensors"]["name"]
    assert sorted(names) == sorted(name for name in weights(0) if ".1." in name or name == EMBED)
    page = next(site.glob("*/index.html")).read_text()
    assert f"{len(weights(0)) - len(names)} tensors not compared, as asked for." in page
    build(Settings((ModelSettings(b, against=a),), site, cache))
    assert len(scene(site, 0)["tensors"]["name"]) == len(weights(0))


def test_what_a_build_would_do_is_told_from_headers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = write(tmp_path / "a", weights(0)), write(tmp_path / "b", weights(2))
    dry_run(Settings((ModelSettings(b, against=a),), tmp_path / "site", None))
    told = capsys.readouterr().out
    assert f"{len(weights(0))} tensors of both compared, 0 in one alone" in told
    report = run(a, b, tmp_path / "site", None)
    most = int(re.search(r"at most ([0-9,]+) in 3 scenes", told)[1].replace(",", ""))  # type: ignore[index]
    assert report["tiles"]["total"] <= most
