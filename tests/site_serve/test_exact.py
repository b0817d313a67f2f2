"""In: checkpoints written by torch, safetensors and gguf, and their sites. Out: the values that those wrote, or none."""

import http.client
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from mwv.build import build
from mwv.cli import main
from mwv.memory import Memory, recall_source
from mwv.settings import ModelSettings, Settings
from mwv.site.data import parse
from mwv.site.exact import SIDE, Values, ValuesError, Window
from mwv.site.serve import SiteServer, open_server
from mwv.store.store import Store

LONG_AGO = 1_600_000_000
BIG = 2**62 + 1


def tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    special = torch.randn(80, 130)
    special[0, :4] = torch.tensor([float("nan"), float("inf"), -float("inf"), 1e-42])
    return {
        "f32": special,
        "f16": torch.randn(70, 90).to(torch.float16),
        "bf16": torch.randn(70, 90).to(torch.bfloat16),
        "f64": torch.randn(3, 5, dtype=torch.float64),
        "f8": torch.randn(10, 12).to(torch.float8_e4m3fn),
        "i64": torch.arange(BIG, BIG + 60).reshape(6, 10),
        "u8": torch.arange(200, dtype=torch.uint8).reshape(10, 20),
        "i8": torch.arange(-60, 60, dtype=torch.int8).reshape(10, 12),
        "flag": torch.arange(30).reshape(5, 6) % 3 == 0,
        "complex": torch.complex(torch.randn(4, 4), torch.randn(4, 4)),
        "vector": torch.randn(500),
        "long": torch.randn(40_000),
        "conv": torch.randn(70, 6, 3, 3),
        "experts.up": torch.randn(3, 70, 40),
    }


def numbers(tensor: torch.Tensor) -> NDArray[Any]:
    """A tensor as numpy has it, short floats as float32, all of which is exact."""
    short = (torch.float16, torch.bfloat16, torch.float8_e4m3fn)
    return np.asarray((tensor.to(torch.float32) if tensor.dtype in short else tensor).numpy())


def drawn(name: str, values: NDArray[Any]) -> list[NDArray[Any]]:
    """The grids that a tensor is drawn as, by the rules of the layout; a folded one is padded with NaN."""
    if name == "conv":
        out, inner, high, wide = values.shape
        return [values.transpose(0, 2, 1, 3).reshape(out * high, inner * wide)]
    if name.startswith("experts"):
        return list(values)
    if name == "long":
        return [np.pad(values, (0, -len(values) % 4096), constant_values=np.nan).reshape(-1, 4096)]
    return [values.reshape(1, -1) if values.ndim == 1 else values]


def settled(path: Path) -> Path:
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def write(path: Path) -> Path:
    save_file(tensors(), path)
    return settled(path)


def values_of(site: Path, cache: Path, named: tuple[Path, ...] = ()) -> Values:
    store = Store.open(cache)
    return Values(site, lambda identity: recall_source(store, identity), named, Memory(store).digests)


class Built:
    """A checkpoint, its site and its cache."""

    def __init__(self, folder: Path, source: Path) -> None:
        self.source, self.site, self.cache = source, folder / "site", folder / "cache"
        build(Settings((ModelSettings(source),), self.site, self.cache, jobs=1))
        entry = json.loads((self.site / "site.json").read_bytes())["models"][0]
        self.slug: str = entry["slug"]
        self.scene_file = self.site / self.slug / entry["scenes"][0]

    @property
    def scene(self) -> Any:
        return parse(self.scene_file.read_bytes(), "scene")

    def placements(self, name: str) -> list[int]:
        scene = self.scene
        tensor = scene["tensors"]["name"].index(name)
        return [i for i, owner in enumerate(scene["placements"]["tensor"]) if owner == tensor]

    def values(self, *named: Path) -> Values:
        return values_of(self.site, self.cache, named)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("plain")
    return Built(folder, write(folder / "model-of-all-types.safetensors"))


@pytest.fixture
def fresh(tmp_path: Path) -> Built:
    """One whose files a test may change."""
    path = tmp_path / "source" / "tiny.safetensors"
    path.parent.mkdir()
    save_file({"w": torch.randn(200, 70), "v": torch.randn(50)}, path)
    return Built(tmp_path, settled(path))


def whole(values: Values, slug: str, placement: int, shape: tuple[int, int]) -> list[list[str]]:
    """All elements of a grid as text, window by window."""
    rows: list[list[str]] = []
    for top in range(0, shape[0], SIDE):
        windows = [
            values.read(slug, Window(0, placement, top, left, SIDE, SIDE))["values"] for left in range(0, shape[1], SIDE)
        ]
        rows += [list(chain(*parts)) for parts in zip(*windows, strict=True)]
    return rows


def same(text: str, value: Any) -> bool:
    kind = np.asarray(value).dtype
    if kind.kind == "c":
        return complex(text) == complex(value)
    if kind.kind in "iub":
        return int(text) == int(value)
    return bool(np.array_equal(kind.type(text), value, equal_nan=True))


@pytest.mark.parametrize("name", tensors())
def test_every_value_is_the_one_that_was_written(plain: Built, name: str) -> None:
    grids = drawn(name, numbers(tensors()[name]))
    placements = plain.placements(name)
    assert len(placements) == len(grids)
    for placement, grid in zip(placements, grids, strict=True):
        found = whole(plain.values(), plain.slug, placement, grid.shape[:2])
        for row, line in enumerate(found):
            real = grid[row] if name != "long" else grid[row][~np.isnan(grid[row])]
            assert len(line) == len(real)
            assert all(same(text, value) for text, value in zip(line, real, strict=True))


def test_transposed_and_big_endian_like_views_of_a_pickle(tmp_path: Path) -> None:
    stored = torch.randn(90, 150)
    torch.save({"t.weight": stored.t(), "cut.weight": stored[10:30, 5:100]}, tmp_path / "views.pt")
    built = Built(tmp_path, settled(tmp_path / "views.pt"))
    for name, tensor in (("t.weight", stored.t()), ("cut.weight", stored[10:30, 5:100])):
        grid = tensor.numpy()
        found = whole(built.values(), built.slug, built.placements(name)[0], grid.shape)
        assert np.array_equal(np.array(found, np.float32), grid)


def test_blocks_of_a_gguf_file(tmp_path: Path) -> None:
    weights = np.random.default_rng(1).standard_normal((130, 256)).astype(np.float32)
    kind = gguf.GGMLQuantizationType.Q4_0
    packed = gguf.quantize(weights, kind)
    path = tmp_path / "blocks.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tensor("blk.0.attn_q.weight", packed, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    built = Built(tmp_path, settled(path))
    expected = gguf.dequantize(packed, kind)
    found = whole(built.values(), built.slug, built.placements("blk.0.attn_q.weight")[0], expected.shape)
    assert np.array_equal(np.array(found, np.float32), expected)


def test_a_window_may_cross_bands_and_is_cut_at_the_end(plain: Built) -> None:
    grid = drawn("conv", numbers(tensors()["conv"]))[0]
    told = plain.values().read(plain.slug, Window(0, plain.placements("conv")[0], 185, 10, 20, 30))
    assert (told["row"], told["col"], told["dtype"]) == (185, 10, "F32")
    assert np.array_equal(np.array(told["values"], np.float32), grid[185:205, 10:18])


@pytest.mark.parametrize(
    "window",
    [
        Window(0, 0, 0, 0, SIDE + 1, 1),
        Window(0, 0, 0, 0, 1, SIDE + 1),
        Window(0, 0, 0, 0, 0, 1),
        Window(0, 0, 10**8, 0),
        Window(0, 0, -1, 0),
        Window(0, -1, 0, 0),
        Window(0, 10**6, 0, 0),
        Window(1, 0, 0, 0),
    ],
)
def test_what_is_not_there_or_too_much_is_refused(plain: Built, window: Window) -> None:
    with pytest.raises(ValuesError):
        plain.values().read(plain.slug, window)


def overwrite(path: Path) -> None:
    """Another value of the last tensor; header, size and times stay."""
    with path.open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(b"\0\0\x80\x3f")
    settled(path)


def last(built: Built) -> Window:
    """The element whose bytes are the last of the file."""
    return Window(0, built.placements("w")[0], 199, 69)


@pytest.mark.parametrize("opened", [True, False])
def test_a_source_that_changed_is_not_read_out(fresh: Built, opened: bool) -> None:
    values = fresh.values()
    if opened:
        assert values.read(fresh.slug, last(fresh))["values"]
    overwrite(fresh.source)
    if not opened:
        values = fresh.values()
    for _ in range(2):
        with pytest.raises(ValuesError, match="changed"):
            values.read(fresh.slug, last(fresh))


def test_a_source_of_another_table_is_not_offered(fresh: Built) -> None:
    save_file({"w": torch.randn(200, 71), "v": torch.randn(50)}, fresh.source)
    assert not fresh.values().offers(fresh.slug)


def test_a_source_that_came_back_is_read_again(fresh: Built) -> None:
    values = fresh.values()
    kept = fresh.source.read_bytes()
    before = values.read(fresh.slug, last(fresh))
    overwrite(fresh.source)
    with pytest.raises(ValuesError):
        values.read(fresh.slug, last(fresh))
    fresh.source.write_bytes(kept)
    assert values.read(fresh.slug, last(fresh)) == before


def test_a_moved_source_is_found_when_it_is_named(fresh: Built, tmp_path: Path, plain: Built) -> None:
    elsewhere = tmp_path / "elsewhere.safetensors"
    expected = fresh.values().read(fresh.slug, last(fresh))
    shutil.move(fresh.source, elsewhere)
    assert not fresh.values().offers(fresh.slug)
    assert not fresh.values(plain.source).offers(fresh.slug)
    renamed = elsewhere.rename(tmp_path / fresh.source.name)
    assert fresh.values(plain.source, renamed).read(fresh.slug, last(fresh)) == expected


def test_a_remembered_place_must_give_the_identity_of_the_model(fresh: Built, tmp_path: Path) -> None:
    copy = tmp_path / fresh.source.name
    shutil.copy(fresh.source, copy)
    assert Values(fresh.site, lambda _: fresh.source).offers(fresh.slug)
    assert not Values(fresh.site, lambda _: copy).offers(fresh.slug)


def compared(folder: Path, a: Path, b: Path) -> tuple[Path, Path, str, Any]:
    """The site of a comparison, its cache, the slug of its page and its scenes."""
    site, cache = folder / "site", folder / "cache"
    build(Settings((ModelSettings(b, against=a),), site, cache, jobs=1))
    [entry] = json.loads((site / "site.json").read_bytes())["models"]
    scenes = [parse((site / entry["slug"] / name).read_bytes(), "scene") for name in entry["scenes"]]
    return site, cache, entry["slug"], scenes


def test_both_sides_of_a_comparison_are_read_out(tmp_path: Path) -> None:
    torch.manual_seed(5)
    before = {"w": torch.randn(200, 70), "embed": torch.randn(100, 30), "old": torch.randn(4, 4), "e.0": torch.randn(8, 8)}
    after = {"m.w": before["w"] + 1, "m.embed": torch.randn(130, 30), "m.new": torch.randn(3, 3), "m.e.0": before["e.0"]}
    a, b = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    for path, tensors in ((a, before), (b, after)):
        save_file(tensors, path)
        settled(path)
    site, cache, slug, scenes = compared(tmp_path, a, b)
    values = values_of(site, cache)
    assert values.offers(slug)
    read = 0
    for scene, prefix, tensors in ((1, "", before), (2, "m.", after)):
        table, placements = scenes[scene]["tensors"], scenes[scene]["placements"]
        for placement, index in enumerate(placements["tensor"]):
            if index < 0:
                with pytest.raises(ValuesError):
                    values.read(slug, Window(scene, placement, 0, 0))
                continue
            name = table["name"][index]
            expected = tensors.get(name, tensors.get(prefix + name))
            assert expected is not None
            rows = len(expected)
            told = values.read(slug, Window(scene, placement, max(rows - 20, 0), 0, 64, 64))["values"]
            assert np.array_equal(np.array(told, np.float32), expected.numpy()[max(rows - 20, 0) :, :64]), name
            read += 1
    assert read == len(before) + len(after)
    for scene in (0, 3, -1):
        with pytest.raises(ValuesError):
            values.read(slug, Window(scene, 0, 0, 0))
    # Each side is proven by its own digests.
    with b.open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(b"\0\0\x80\x3f")
    settled(b)
    values, seen = values_of(site, cache), set()
    for placement in range(len(scenes[0]["placements"]["tensor"])):
        for scene in (1, 2):
            try:
                values.read(slug, Window(scene, placement, 0, 0))
            except ValuesError as error:
                seen.add((scene, "changed" in str(error)))
    assert (2, True) in seen and (1, True) not in seen
    b.unlink()
    assert values_of(site, cache).offers(slug)
    a.unlink()
    assert not values_of(site, cache).offers(slug)


def test_a_quantised_side_is_read_out_as_it_is_compared(tmp_path: Path) -> None:
    """Rows of q in a GGUF file stand in another order there than on the page."""
    a, b = tmp_path / "a.safetensors", tmp_path / "b.gguf"
    torch.manual_seed(6)
    q = torch.randn(64, 64)
    save_file({"model.layers.0.self_attn.q_proj.weight": q}, a)
    permuted = q.numpy().reshape(2, 2, 16, 64).swapaxes(1, 2).reshape(64, 64)
    writer = gguf.GGUFWriter(b, "llama")
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    kind = gguf.GGMLQuantizationType.Q8_0
    stored = gguf.quants.quantize(permuted, kind)
    writer.add_tensor("blk.0.attn_q.weight", stored, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    site, cache, slug, _ = compared(tmp_path, settled(a), settled(b))
    values = values_of(site, cache)
    told = np.array(values.read(slug, Window(2, 0, 0, 0, 64, 64))["values"], np.float32)
    back = gguf.quants.dequantize(stored, kind).reshape(2, 16, 2, 64).swapaxes(1, 2).reshape(64, 64)
    assert np.array_equal(told, back)
    assert np.array_equal(np.array(values.read(slug, Window(1, 0, 0, 0, 64, 64))["values"], np.float32), q.numpy())


LIES: list[list[Any]] = [
    [200, 70, 1 << 40, 14000, 1, 1, 1, 1],
    [200, 70, 0, 0, 1, 1, 1, 1],
    [10**9, 10**9, 70, 10**18, 1, 1, 1, 1],
    [200, 70, 70, 14000, 0, 1, 1, 1],
    ["x"],
    [],
]


@pytest.mark.parametrize("grid", LIES)
def test_a_site_that_lies_about_its_grids_gets_no_value(fresh: Built, grid: list[Any]) -> None:
    text = fresh.scene_file.read_text()
    assert "[200,70,70,14000,1,1,1,1]" in text
    fresh.scene_file.write_text(text.replace("[200,70,70,14000,1,1,1,1]", json.dumps(grid, separators=(",", ":"))))
    with pytest.raises(ValuesError):
        fresh.values().read(fresh.slug, last(fresh))


def test_a_tensor_that_is_placed_again_and_again_is_not_read_as_often(fresh: Built) -> None:
    scene = fresh.scene
    placed = scene["placements"]
    (number,) = fresh.placements("w")
    for name in ("tensor", "panel", "grid"):
        placed[name] += [placed[name][number]] * 1000
    fresh.scene_file.write_text(f"mwv.scene({json.dumps(scene)});\n")
    asked: list[object] = []
    values = Values(fresh.site, lambda _: fresh.source, digests=asked.append)
    with pytest.raises(ValuesError, match="no such element"):
        values.read(fresh.slug, Window(0, number, 0, 0))
    assert len(asked) == 1


@pytest.mark.parametrize("name", ["site.json", "scene"])
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(fresh: Built, name: str) -> None:
    path = fresh.scene_file if name == "scene" else fresh.site / name
    path.unlink()
    os.mkfifo(path)
    assert not fresh.values().offers(fresh.slug)


@pytest.mark.parametrize("text", ["", "mwv.scene({});\n", "mwv.scene([]);\n", "mwv.scene(1);\n", f"mwv.scene({'[' * 9999});\n"])
def test_damaged_data_of_a_site_is_no_reason_to_fail(fresh: Built, text: str) -> None:
    fresh.scene_file.write_text(text)
    assert not fresh.values().offers(fresh.slug)


def test_no_file_of_a_site_names_a_place_of_this_machine(fresh: Built) -> None:
    place = str(fresh.source.parent).encode()
    assert not [path for path in fresh.site.rglob("*") if path.is_file() and place in path.read_bytes()]


@pytest.fixture
def server(fresh: Built) -> Iterator[SiteServer]:
    with open_server(fresh.site, port=0, values=fresh.values()) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


Ask = Callable[..., tuple[int, Mapping[str, str], bytes]]


@pytest.fixture
def ask(server: SiteServer) -> Ask:
    def request(path: str, method: str = "GET", **headers: str) -> tuple[int, Mapping[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, answer.headers, body

    return request


def test_the_endpoint_answers_in_json_and_the_page_is_told(ask: Ask, fresh: Built) -> None:
    for page in ("", "index.html"):
        assert ask(f"/{fresh.slug}/{page}", "HEAD")[1]["X-Mwv-Values"] == "yes"
    window = last(fresh)
    status, headers, body = ask(f"/{fresh.slug}/values?scene=0&placement={window.placement}&row=199&col=69")
    assert (status, headers["Content-Type"], headers["Cache-Control"]) == (200, "application/json", "no-store")
    assert json.loads(body) == fresh.values().read(fresh.slug, window)
    assert ask(f"/{fresh.slug}/values?scene=0&placement={window.placement}&row=199&col=69", "HEAD")[2] == b""


@pytest.mark.parametrize(
    "query", ["", "?scene=0", "?scene=0&placement=x&row=0&col=0", "?scene=0&placement=0&row=0&col=0&more=1"]
)
def test_a_question_that_makes_no_sense_is_a_bad_request(ask: Ask, fresh: Built, query: str) -> None:
    assert ask(f"/{fresh.slug}/values{query}")[0] == 400


def test_problems_are_told_without_a_path(ask: Ask, fresh: Built) -> None:
    overwrite(fresh.source)
    window = last(fresh)
    for slug in (fresh.slug, "no-such-model"):
        status, _, body = ask(f"/{slug}/values?scene=0&placement={window.placement}&row=199&col=69")
        assert status == 200 and json.loads(body).keys() == {"problem"}
        assert b"/" not in body and fresh.source.name.encode() not in body


def test_values_are_for_this_machine_alone(ask: Ask, server: SiteServer, fresh: Built) -> None:
    server.loopback_only = False  # as when it listens on an address of the network
    page, values = f"/{fresh.slug}/", f"/{fresh.slug}/values?scene=0&placement=0&row=0&col=0"
    assert ask(values)[0] == 200
    assert ask(values, Host="example.org")[0] == 404
    assert "X-Mwv-Values" not in ask(page, "HEAD", Host="example.org")[1]
    assert ask(page, "HEAD", Host="example.org")[0] == 200


def test_without_sources_there_is_no_endpoint(fresh: Built, server: SiteServer, ask: Ask) -> None:
    server.values = None
    assert ask(f"/{fresh.slug}/values?scene=0&placement=0&row=0&col=0")[0] == 404
    assert "X-Mwv-Values" not in ask(f"/{fresh.slug}/", "HEAD")[1]


def test_the_command_finds_the_sources_that_the_cache_remembers(
    fresh: Built, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    offered: list[bool] = []

    def serve(root: Path, *, values: Values, **_: Any) -> None:
        offered.append(values.offers(fresh.slug))

    monkeypatch.setattr("mwv.site.serve.serve", serve)
    runs = ([], ["--cache", str(fresh.cache)], ["--cache", str(tmp_path / "none"), "--source", str(fresh.source)])
    monkeypatch.setenv("MWV_CACHE", str(tmp_path / "none"))
    for options in runs:
        with pytest.raises(SystemExit):
            main(["serve", str(fresh.site), *options])
    assert offered == [False, True, True]
    assert not (tmp_path / "none").exists()


def test_without_a_place_for_a_cache_values_come_from_named_sources(
    fresh: Built, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    offered: list[bool] = []
    monkeypatch.setattr("mwv.site.serve.serve", lambda root, *, values, **_: offered.append(values.offers(fresh.slug)))
    for name in ("HOME", "XDG_CACHE_HOME", "MWV_CACHE"):
        monkeypatch.delenv(name, raising=False)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    for options in ([], ["--source", str(fresh.source)]):
        with pytest.raises(SystemExit):
            main(["serve", str(fresh.site), *options])
        said = capsys.readouterr().err.splitlines()
        assert len(said) == 1 and "--cache" in said[0] and "--source" in said[0]
    assert offered == [False, True]
    assert not any(elsewhere.iterdir())


def test_a_public_address_gets_into_the_data_of_the_model(fresh: Built, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["-o", str(fresh.site), "--cache", str(fresh.cache)]
    main(["build", str(fresh.source), *out, "--source-url", "https://example.org/models/tiny"])
    name = json.loads((fresh.site / "site.json").read_bytes())["models"][0]["model"]
    record = parse((fresh.site / fresh.slug / name).read_bytes(), "model")
    assert record["url"] == "https://example.org/models/tiny/"
    for wrong in ("ftp://example.org/", "example.org", "https://me:secret@example.org/", "https://example.org/?token=1"):
        with pytest.raises(SystemExit):
            main(["build", str(fresh.source), *out, "--source-url", wrong])
        assert "--source-url" in capsys.readouterr().err
