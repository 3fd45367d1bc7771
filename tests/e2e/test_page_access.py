"""Accessibility of the page: keyboard, screen readers, phones, light and dark."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from browsing import Visit

Open = Callable[..., Visit]

#: Text whose contrast with what lies behind it is computed; at least 4.5 is wanted (WCAG 2.2, AA).
TEXTS = (
    "h1", ".lead", "#state-text", "h2", ".small", ".class-name", ".flux", ".words", ".pill",
    ".synthetic", ".synthetic strong", ".band.class-A", ".band.class-C", ".band.class-X", ".tick",
    ".probabilities tbody th", ".probabilities td:last-child", ".chance-of", ".interval-words",
    ".facts dt", ".facts dd", ".version", ".grid .channel", ".instrument",
    ".gap span", "#choose", "#reset", "#model-body a", "summary", "footer p", ".problem-title",
    ".problem .hint",
)  # fmt: skip

CONTRASTS = """(selectors) => {
    const parse = (text) => {
        const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
        return { rgb: [r, g, b], a };
    };
    const over = (top, below) => top.rgb.map((v, k) => v * top.a + below[k] * (1 - top.a));
    const light = (rgb) => {
        const [r, g, b] = rgb.map((v) => v / 255)
            .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (node) => {
        const layers = [];
        for (let at = node; at; at = at.parentElement) {
            layers.push(parse(getComputedStyle(at).backgroundColor));
        }
        return layers.reverse().reduce((rgb, layer) => over(layer, rgb), [255, 255, 255]);
    };
    return selectors.map((selector) => {
        const node = document.querySelector(selector);
        if (node === null) return [selector, null];
        const below = behind(node);
        const pair = [light(over(parse(getComputedStyle(node).color), below)), light(below)];
        return [selector, (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05)];
    });
}"""

CONTROLS = {"button", "link", "textbox", "checkbox", "DisclosureTriangle", "image", "grid"}


def focused(page: Any) -> str:
    return page.evaluate(
        "(document.activeElement.ariaLabel ?? document.activeElement.textContent).trim()"
    )


def test_an_example_can_be_had_enlarged_and_left_with_the_keyboard_alone(visit):
    page = visit().page
    press = page.keyboard.press
    press("Tab")
    assert focused(page) == "Skip to the sample"
    press("Enter")
    press("Tab")
    assert focused(page) == "Choose files"
    press("Tab")
    assert focused(page) == "Use the example"
    press("Enter")
    page.wait_for_selector("#grid .tile")
    for _ in range(10):
        press("Tab")
        if focused(page).startswith("AIA 94"):
            break
    press("ArrowRight")
    press("ArrowRight")
    press("ArrowDown")
    tile = "AIA 171 Å, 5\N{NO-BREAK SPACE}h before the forecast window"
    assert focused(page) == tile
    press("Enter")
    assert page.inner_text("#viewer-title") == "AIA 171 Å"
    press("ArrowRight")
    assert page.inner_text("#viewer-title") == "AIA 193 Å"
    press("Escape")
    assert page.is_hidden("#viewer")
    assert focused(page) == tile


def test_nothing_is_wider_than_the_screen(visit):
    page = visit().example()
    page.wait_for_selector(".plot svg")
    for width in (360, 390, 768, 1024, 1600):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_phone_has_channels_in_rows_and_arrow_keys_follow(visit):
    page = visit(viewport={"width": 390, "height": 844}).example()
    first, second = (page.locator("#grid .tile").nth(k).bounding_box() for k in (0, 1))
    assert first["x"] == second["x"]
    page.focus("#grid .tile >> nth=0")
    page.keyboard.press("ArrowDown")
    assert focused(page).startswith("AIA 131")


def test_texts_stand_out_from_what_is_behind_them_in_both_schemes(visit):
    tab = visit()
    tab.example()
    page = tab.upload(("notes.txt", b"no sample"))
    for scheme, ground in {"light": "rgb(247, 244, 238)", "dark": "rgb(18, 17, 16)"}.items():
        page.emulate_media(color_scheme=scheme)
        body = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert body == ground
        result = dict(page.evaluate(CONTRASTS, list(TEXTS)))
        assert {name: ratio for name, ratio in result.items() if ratio is None or ratio < 4.5} == {}


def test_every_control_has_a_name(shown):
    nodes = shown.context.new_cdp_session(shown).send("Accessibility.getFullAXTree")["nodes"]
    controls = [
        node
        for node in nodes
        if node.get("role", {}).get("value") in CONTROLS and not node["ignored"]
    ]
    assert len(controls) > 45
    unnamed = [node for node in controls if not node.get("name", {}).get("value")]
    assert [node["role"]["value"] for node in unnamed] == []


def test_headings_skip_no_level_and_there_is_one_of_the_first(shown):
    levels = shown.evaluate(
        "[...document.querySelectorAll('h1, h2, h3, h4')]"
        ".filter((one) => one.offsetParent).map((one) => Number(one.tagName[1]))"
    )
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_what_happens_is_announced(shown):
    assert shown.get_attribute("#spoken", "aria-live") == "polite"
    assert shown.get_attribute("#notice", "role") == "status"
    assert "39 of 40 images" in shown.inner_text("#spoken")


def test_the_grid_is_one_of_ten_named_channels_for_screen_readers(shown):
    assert shown.locator("#grid [role=row]").count() == 5
    assert shown.locator("#grid [role=columnheader].channel").count() == 10
    assert shown.locator("#grid [role=gridcell]").count() == 40
    assert shown.locator("#grid .tile[tabindex='0']").count() == 1  # one stop for Tab


def test_reduced_motion_means_no_animation(visit):
    page = visit(reduced_motion="reduce").page
    page.evaluate("document.querySelector('#progress').hidden = false")
    assert page.evaluate("document.getAnimations().length") == 0


def test_the_page_asks_for_nothing_while_it_is_hidden(visit):
    page = visit().page
    page.clock.install()
    page.evaluate(
        """() => {
            Object.defineProperty(document, "hidden", { get: () => window.away });
            window.look = (away) => {
                window.away = away;
                document.dispatchEvent(new Event("visibilitychange"));
            };
            window.look(true);
        }"""
    )
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(60_000)
    assert asked == []
    with page.expect_response("**/health"):
        page.evaluate("window.look(false)")
