"""In: palettes and windows. Out: colours that tell magnitudes apart, and never hide a NaN, for all kinds of eyes."""

import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from mwv.pyramid.avif import encode_avif
from mwv.pyramid.code import BALANCED, INF, MISSING, NAN, NEGATIVE, PADDING, POSITIVE, ZERO, magnitude
from mwv.pyramid.palette import PALETTES, STEPS, positions, steps, table
from mwv.pyramid.png import encode_coloured

MAGNITUDES = [code for code in range(256) if magnitude(code) > 0]
RAMPS = {"negative": range(NEGATIVE, BALANCED), "balanced": range(BALANCED, POSITIVE), "positive": range(POSITIVE, 247)}
# Machado, Oliveira and Fernandes (2009), severity 1, on linear sRGB.
EYES = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}


def lab(colours: NDArray[np.uint8], eyes: str = "normal") -> NDArray[np.float64]:
    """CIE L*a*b* (D65) of sRGB bytes as certain eyes see them."""
    srgb = colours.astype(float) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.array(EYES[eyes]).T, 0, 1)
    xyz = (
        linear @ np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]).T / [0.9505, 1, 1.089]
    )
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)


def distance(colours: NDArray[np.uint8], code: int, others: list[int], eyes: str = "normal") -> float:
    seen = lab(colours, eyes)
    return float(np.linalg.norm(seen[others] - seen[code], axis=1).min())


def test_every_bin_centre_is_a_whole_number_of_steps() -> None:
    for code in MAGNITUDES:
        assert math.isclose(math.log2(magnitude(code)) * STEPS, positions()[code] or 0, abs_tol=1e-6)


@pytest.mark.parametrize("name", PALETTES)
@pytest.mark.parametrize("eyes", EYES)
def test_nan_and_inf_jump_out(name: str, eyes: str) -> None:
    colours = table(name, 2**-14, 2**12)
    least = 35 if eyes == "normal" else 15
    for code, other in ((NAN, INF), (INF, NAN)):
        assert distance(colours, code, [*MAGNITUDES, other, ZERO, PADDING, MISSING], eyes) > least


@pytest.mark.parametrize("name", PALETTES)
@pytest.mark.parametrize("eyes", EYES)
def test_small_magnitudes_look_neither_like_zero_nor_like_padding(name: str, eyes: str) -> None:
    colours = table(name, 2**-3, 2**2)
    for code in (ZERO, PADDING):
        assert distance(colours, code, MAGNITUDES, eyes) > 8
    assert distance(colours, ZERO, [PADDING], eyes) > 8


@pytest.mark.parametrize("name", PALETTES)
@pytest.mark.parametrize("ramp", RAMPS)
def test_brightness_grows_with_magnitude(name: str, ramp: str) -> None:
    lightness = lab(table(name, 2**-14, 2**12))[list(RAMPS[ramp]), 0]
    assert (np.diff(lightness) > -0.2).all()
    assert lightness[-1] - lightness[0] > 55


def test_signs_are_told_apart_by_all_eyes() -> None:
    colours = table("signed", 2**-10, 2)
    middle = [NEGATIVE + 20, POSITIVE + 20]
    for eyes in EYES:
        a, b = lab(colours, eyes)[middle]
        assert np.linalg.norm(a - b) > 40


def test_equal_magnitudes_are_equally_bright_whatever_the_sign() -> None:
    light = lab(table("signed", 2**-14, 2**12))[:, 0]
    assert np.abs(light[NEGATIVE:BALANCED] - light[POSITIVE:247]).max() < 8


@given(st.sampled_from(sorted(PALETTES)), st.floats(-20, 20), st.floats(0.01, 20))
@settings(deadline=None, max_examples=40)
def test_magnitudes_outside_the_window_take_the_ends_of_their_ramp(name: str, low: float, width: float) -> None:
    colours = table(name, 2**low, 2 ** (low + width))
    palette = PALETTES[name]
    for code in MAGNITUDES:
        ends = palette.ramp(code)
        if math.log2(magnitude(code)) < low - 1 / STEPS:
            assert colours[code].tobytes().hex() == ends[0]
        if math.log2(magnitude(code)) > low + width + 1 / STEPS + 1 / STEPS:
            assert colours[code].tobytes().hex() == ends[-1]


def test_a_colour_in_the_middle_is_the_middle_anchor() -> None:
    # Code 113 is balanced, its centre at log2 m = -11 + (113 - 52 + ½)/11; a window of ±1 octave puts it at index 128 of 255.
    centre = magnitude(113)
    assert steps(centre) == round((-11 + 61.5 / 11) * 66)
    colour = table("gray", centre / 2, centre * 2)[113].astype(int)
    anchor = np.array(list(bytes.fromhex(PALETTES["gray"].balanced[4])))
    assert np.abs(colour - anchor).max() <= 1


def test_a_window_of_no_width_is_a_step() -> None:
    colours = table("gray", 1.0, 1.0)
    assert {tuple(colour) for colour in colours[list(RAMPS["balanced"])]} == {(0x48, 0x48, 0x45), (0xF9, 0xF8, 0xF5)}


def test_pictures_show_the_table() -> None:
    codes = np.arange(512 * 300, dtype=np.uint32).reshape(300, 512).astype(np.uint8)
    colours = table("signed", 2**-10, 2.0)
    with Image.open(io.BytesIO(encode_coloured(codes, colours))) as image:
        assert image.format == "PNG"
        assert (np.asarray(image.convert("RGB")) == colours[codes]).all()
    with Image.open(io.BytesIO(encode_avif(colours[np.full((64, 64), INF, np.uint8)]))) as image:
        assert image.format == "AVIF"
        assert np.abs(np.asarray(image.convert("RGB")).astype(int) - colours[INF]).max() < 8
