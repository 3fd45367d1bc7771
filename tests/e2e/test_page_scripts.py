"""The page's scripts compute the same as the project's Python."""

import base64
import io
import zlib
from typing import Any

import numpy as np
import pytest
from real_server import ROOT

from flare.goes import class_of_flux
from flare.sample import CHANNELS, physical_values

RAMP = np.arange(40 * 256 * 256, dtype=np.uint64).reshape(40, 256, 256) * 7919 % 255 + 1

READ = """async (text) => {
    const { planesOfNpy } = await import("/page/npy.js");
    const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const file = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    const buffer = await new Response(file).arrayBuffer();
    const sum = (plane) => plane.reduce((all, grey, at) => (all * 31 + grey + at) % 1000003, 0);
    try {
        return planesOfNpy(buffer).map((plane) => plane && sum(plane));
    } catch (error) {
        return error.message;
    }
}"""


def read(page: Any, array: np.ndarray) -> Any:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return page.evaluate(READ, base64.b64encode(zlib.compress(file.getvalue(), 1)).decode())


NARROW = "\N{NARROW NO-BREAK SPACE}"


@pytest.fixture(scope="module")
def truth(shown: Any) -> Any:
    return read(shown, RAMP.astype(np.uint8))


@pytest.mark.parametrize(
    "array",
    [
        RAMP.astype(">u2"),
        RAMP.astype("<i4"),
        RAMP.astype(np.int64),
        RAMP.astype(np.float16),
        RAMP.astype(">f4"),
        (RAMP / 255).astype(np.float32),
        np.asfortranarray(RAMP.astype(np.uint8)),
        RAMP.astype(np.uint8).reshape(4, 10, 256, 256),
        np.asfortranarray(RAMP.astype("<u2").reshape(4, 10, 256, 256)),
    ],
    ids=["u2", "i4", "i8", "f2", "f4", "fractions", "fortran", "cube", "fortran-cube"],
)
def test_an_array_of_another_type_or_order_shows_the_same_images(shown, truth, array):
    assert len(set(truth)) > 30
    assert read(shown, array) == truth


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((40, 256, 255), np.uint8), "its shape is (40, 256, 255)"),
        (RAMP.astype(np.complex64), "its type is <c8"),
        (RAMP.astype(np.int16) * 2, "its values are not within 0 and 255"),
        (
            np.where(RAMP == 9, np.nan, RAMP).astype(np.float32),
            "its values are not within 0 and 255",
        ),
        ((RAMP / 255 * 1.001).astype(np.float32), "its floats may be fractions or grey levels"),
    ],
    ids=["shape", "type", "range", "nan", "scale"],
)
def test_the_reason_why_an_array_cannot_be_shown_is_given(shown, array, says):
    assert read(shown, array) == says


def test_classes_are_those_of_the_project(shown):
    fluxes = [*(10 ** np.linspace(-9, -2.5, 400)).tolist(), 2.3e-5, 9.99e-6, 1e-5, 1e-4, 1.2e-3]
    result = shown.evaluate(
        'async (all) => all.map((await import("/page/goes.js")).classOf)', fluxes
    )
    assert result == [class_of_flux(flux) for flux in fluxes]


@pytest.mark.parametrize(
    ("pair", "texts"),
    [
        ((0.12, 0.14), ["12 %", "14 %"]),
        ((0.1204, 0.1196), ["12.04 %", "11.96 %"]),
        ((0.0, 1.0), ["0 %", "100 %"]),
        ((0.0004, 0.021), ["0.040 %", "2.1 %"]),
    ],
)
def test_different_probabilities_have_different_texts(shown, pair, texts):
    script = 'async (pair) => (await import("/page/goes.js")).percents(...pair)'
    result = shown.evaluate(script, list(pair))
    assert [text.replace("\N{NARROW NO-BREAK SPACE}", " ") for text in result] == texts


def test_grey_levels_mean_the_same_physical_values(shown):
    script = """async (channels) => {
        const { physical } = await import("/page/sample.js");
        return channels.map((one) => [0, 51, 128, 255].map((grey) => physical(grey, one)));
    }"""
    grey = np.array([0, 51, 128, 255], np.uint8)
    wanted = [physical_values(grey, channel).tolist() for channel in CHANNELS]
    assert np.allclose(shown.evaluate(script, list(CHANNELS)), wanted, rtol=1e-4)


@pytest.mark.parametrize(
    ("channel", "level", "colour"),
    [  # by aia_lct.pro of SolarSoft, as sunpy's sdoaia maps are made
        ("171", 128, [185, 128, 0]),
        ("304", 192, [255, 136, 8]),
        ("94", 64, [16, 91, 64]),
        ("193", 64, [128, 64, 16]),
        ("335", 255, [255, 255, 255]),
        ("magnetogram", 128, [128, 128, 128]),
    ],
)
def test_channels_have_their_usual_colours(shown, channel, level, colour):
    script = 'async (pair) => (await import("/page/colours.js")).colourOf(...pair)'
    assert np.allclose(shown.evaluate(script, [channel, level]), colour, atol=1)


def test_images_are_placed_by_their_names_as_the_dataset_does(shown):
    names = sorted(path.name for path in (ROOT / "data" / "example").glob("*/*.jpg"))
    script = """async (names) => {
        const { placesOf } = await import("/page/sample.js");
        return placesOf(names).places.map(({ name, step, channel }) => [name, step, channel]);
    }"""
    result = shown.evaluate(script, [*names, "2013-09-18T193600__1600.jpg", "notes.txt"])
    times = sorted({name.split("__")[0] for name in names})
    wanted = [
        [name, times.index(name.split("__")[0]), CHANNELS.index(name.split("__")[1][:-4])]
        for name in names
    ]
    assert sorted(result) == wanted


def test_a_model_card_cannot_contain_markup(shown):
    card = '# <b>Title</b>\n\n<img src=x onerror="alert(1)">\n\n- [a](javascript:alert(1)) **bold**'
    script = """async (card) => {
        const { markdown } = await import("/page/markdown.js");
        const place = document.createElement("div");
        place.append(...markdown(card));
        return [place.textContent, [...place.querySelectorAll("*")].map((one) => one.tagName)];
    }"""
    text, tags = shown.evaluate(script, card)
    assert '<img src=x onerror="alert(1)">' in text
    assert sorted(tags) == ["H3", "LI", "P", "STRONG", "UL"]


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.42, "42"), (0.0995, "10"), (0.05, "5.0"), (0.0042, "0.42"), (0.000123, "0.012"),
        (0.999, "99.9"), (0.99996, "99.996"), (1e-7, "<_0.0001"), (0, "0"), (1, "100"),
    ],
)  # fmt: skip
def test_probabilities_have_two_significant_digits(shown, share, text):
    script = 'async (share) => (await import("/page/goes.js")).percent(share)'
    assert shown.evaluate(script, share).replace(NARROW, "_") == f"{text}_%"


@pytest.mark.parametrize(
    ("share", "rate", "text"),
    [
        (0.42, 0.05, "8.4 times the usual 5.0_%"), (0.6, 0.05, "12 times the usual 5.0_%"),
        (0.05, 0.05, "about the usual 5.0_%"), (0.01, 0.05, "a fifth of the usual 5.0_%"),
        (0.001, 0.05, "less than a tenth of the usual 5.0_%"),
    ],
)  # fmt: skip
def test_a_probability_is_compared_with_the_usual_one(shown, share, rate, text):
    script = 'async (pair) => (await import("/page/goes.js")).againstUsual(...pair)'
    assert shown.evaluate(script, [share, rate]).replace(NARROW, "_") == text


def test_reliability_is_that_of_the_nearest_probability(shown):
    script = """async (bins) => {
        const { reliability } = await import("/page/reliability.js");
        const shown = reliability(0.35, bins, "test split of x");
        return shown.querySelector(".reliable-words").textContent;
    }"""
    one = {"forecast": 0.4, "observed": 0.36, "low": 0.2, "high": 0.5, "n": 50}
    text = shown.evaluate(script, [{**one, "forecast": 0.02, "observed": 0.01}, one])
    assert text.replace(NARROW, "_").startswith(
        "When it said about 40_%, such a flare followed in 36_% of 50 cases on the test split of x"
    )
