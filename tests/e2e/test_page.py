"""The page in the system's Chromium, against a server of its own: uploads, refusals, a swap."""

import io
import re
import zipfile
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from real_server import ROOT

from browsing import Visit, serve_another

EXAMPLE = sorted((ROOT / "data" / "example").glob("*/*.jpg"))
GAP = "HMI continuum, 5\N{NO-BREAK SPACE}h before the forecast window: missing"

Open = Callable[..., Visit]


def npy(planes: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, planes)
    return file.getvalue()


def gaps(page: Any) -> list[str]:
    return [one.get_attribute("aria-label") for one in page.locator("#grid .gap").all()]


def problem(page: Any) -> str:
    return page.inner_text("#alert")


def test_the_example_is_forecast_and_its_missing_image_is_marked(server, shown):
    sample = httpx.get(f"{server.address}/sample.npy").content
    answer = httpx.post(f"{server.address}/predict_npy", files={"file": sample}).json()
    assert shown.inner_text(".class-name") == answer["goes_class"]
    assert gaps(shown) == [GAP]
    assert shown.locator("#grid button.tile").count() == 39
    assert "missing and masked: continuum 5\N{NO-BREAK SPACE}h before" in shown.inner_text(
        "#images"
    )


def test_the_forecast_is_said_in_words_with_its_interval_and_the_alert_threshold(shown):
    words = shown.inner_text(".words")
    assert "90\N{NARROW NO-BREAK SPACE}% interval from A0.1 to" in words
    assert "below the alert threshold of 50\N{NARROW NO-BREAK SPACE}%: no alert" in words
    assert words in shown.inner_text("#spoken")
    assert words.split(". ")[0] in shown.get_attribute(".scale-picture", "aria-label")


def test_a_forecast_of_a_model_of_synthetic_data_says_so(shown):
    assert shown.inner_text("#forecast .synthetic").startswith("SYNTHETIC")
    assert shown.inner_text("#spoken").startswith("Synthetic model.")


def test_the_scale_has_peak_and_interval_where_they_belong(shown):
    box = shown.locator(".bands").bounding_box()
    band, dot = shown.locator(".interval").bounding_box(), shown.locator(".pin").bounding_box()
    share = (dot["x"] - box["x"]) / box["width"]
    flux = 1e-6  # of six labels three are of C1.0, so that this is where the median begins
    assert share == pytest.approx((np.log10(flux) + 9) / 6, abs=0.01)
    assert band["x"] < dot["x"] < band["x"] + band["width"]


def test_an_array_that_was_uploaded_is_shown_plane_by_plane(visit):
    planes = np.zeros((40, 256, 256), dtype=np.uint8)
    planes[2, :, :] = 128  # 171 at the first step
    planes[2, 0, 0] = 1  # of a single value it would be missing
    planes[3, :, :] = 128
    page = visit().upload(("mine.npy", npy(planes)))
    page.wait_for_selector("#grid button.tile")
    assert page.locator("#grid button.tile").count() == 1
    pixel = page.evaluate(
        "[...document.querySelector('#grid canvas').getContext('2d').getImageData(9, 9, 1, 1).data]"
    )
    assert pixel == [185, 128, 0, 255]
    assert "mine.npy" in page.inner_text("#drop-title")


def test_images_and_a_zip_of_them_give_the_same_forecast(visit):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in EXAMPLE:
            file.write(path, f"sample/{path.name}")
    result = []
    for files in (EXAMPLE, [("sample.zip", archive.getvalue())]):
        page = visit().upload(*files)
        page.wait_for_selector("#grid .tile")
        assert problem(page) == ""
        result.append((page.inner_text(".class-name"), gaps(page)))
    assert result[0] == result[1]
    assert result[0][1] == [GAP]


def test_a_file_that_is_dropped_is_forecast(visit):
    page = visit().page
    page.evaluate(
        """async () => {
            const bytes = await (await fetch("/sample.npy")).arrayBuffer();
            const dropped = new DataTransfer();
            dropped.items.add(new File([bytes], "dropped.npy"));
            for (const type of ["dragenter", "dragover", "drop"]) {
                const options = { dataTransfer: dropped, bubbles: true, cancelable: true };
                document.body.dispatchEvent(new DragEvent(type, options));
            }
        }"""
    )
    page.wait_for_selector("#grid .tile")
    assert "dropped.npy" in page.inner_text("#drop-title")


def test_a_wrong_array_is_refused_by_the_server_and_the_page_lives_on(visit):
    tab = visit()
    page = tab.upload(("wrong.npy", npy(np.ones((3, 256, 256), dtype=np.uint8))))
    assert page.get_attribute("#alert", "role") == "alert"
    assert "(3, 256, 256)" in problem(page)
    assert "(40, 256, 256)" in problem(page)  # the hint
    tab.example()
    assert problem(page) == ""


def test_files_that_cannot_be_a_sample_are_refused_at_once(visit):
    tab = visit()
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.method))
    for says, files in {
        "notes.txt is not a .npy, .zip, JPEG or PNG file": [("notes.txt", b"no sample")],
        "empty.npy is empty": [("empty.npy", b"")],
        "2 files": [("a.npy", b"\x93NUMPY"), ("b.npy", b"\x93NUMPY")],
        "41 images": [(f"{k}.png", b"\x89PNG") for k in range(41)],
    }.items():
        assert says in problem(tab.upload(*files))
    assert "POST" not in asked


def test_the_probability_leads_beside_the_usual_one_and_class_and_interval_follow(shown):
    chance, rest = shown.inner_text(".chance"), shown.inner_text(".peak")
    assert re.match(r"[0-9.]+\N{NARROW NO-BREAK SPACE}%\s+for M1 or stronger, .* usual ", chance)
    assert re.search(r"[ABCMX]\d\.\d\s+A0\.1 to [ABCMX]", rest)
    assert shown.locator(".interval.below").count() == 1  # the arrow: it reaches the scale's end
    assert "climatology" in shown.inner_text(".probabilities thead")


def test_images_are_shown_at_the_size_that_the_model_sees(server, shown):
    size = httpx.get(f"{server.address}/model").json()["image_size"]
    width = shown.evaluate("document.querySelector('#grid canvas').width")
    assert width == size
    assert f"{size} \N{MULTIPLICATION SIGN} {size} pixels each" in shown.inner_text("#images-note")


def test_why_shows_a_contribution_for_each_image_and_its_place(shown):
    shown.click("#explain")
    shown.wait_for_selector(".why-table")
    assert shown.locator(".why-table tbody tr").count() == 11
    assert shown.locator(".why-table td.none").count() == 1  # the missing image
    assert "worth 0 points" in shown.inner_text(".why-map")  # a climatology looks at nothing


def test_after_a_wrong_file_the_old_forecast_is_dimmed_and_both_are_named(visit):
    tab = visit()
    page = tab.example()
    tab.upload(("wrong.npy", npy(np.ones((3, 256, 256), dtype=np.uint8))))
    assert "wrong.npy" in page.inner_text(".problem-title")
    assert page.inner_text("#stale") == "This is still the forecast from the example."
    assert (
        float(
            page.evaluate(
                "getComputedStyle(document.querySelector('.headline').parentElement).opacity"
            )
        )
        < 0.6
    )
    tab.example()
    assert page.is_hidden("#stale")


def test_a_row_of_the_history_leads_to_its_answer(visit):
    page = visit().example()
    peak, chance = page.inner_text(".class-name"), page.inner_text(".chance-value")
    page.wait_for_selector(".plot .mark")
    page.click("#reset")
    page.click("summary")
    page.click(".log tbody tr:first-child a")
    page.wait_for_selector(".chance-value")
    assert (page.inner_text(".class-name"), page.inner_text(".chance-value")) == (peak, chance)
    assert "its images are not stored" in page.inner_text("#forecast-of")
    assert page.is_hidden("#images")
    page.reload()  # the address is that of the answer
    page.wait_for_selector(".chance-value")
    assert page.inner_text(".chance-value") == chance


def test_a_forecast_that_is_not_stored_any_more_is_reported(visit):
    page = visit().page
    page.evaluate("location.hash = '#forecast-999999'")
    page.wait_for_selector("#alert .problem")
    assert "not stored any more" in problem(page)


def test_on_a_phone_the_forecast_and_the_images_come_before_the_model(visit):
    page = visit(viewport={"width": 390, "height": 844}).example()
    tops = [page.locator(one).bounding_box()["y"] for one in ("#forecast", "#images", ".model")]
    assert tops == sorted(tops)


def test_a_forecast_can_be_reset(visit):
    page = visit().example()
    page.click("#reset")
    assert page.is_hidden("#forecast")
    assert page.is_hidden("#images")
    assert page.inner_text("#drop-title") == "Drop a sample here"


def test_forecasts_appear_in_the_history_as_plot_and_table(shown):
    shown.wait_for_selector(".plot svg .mark")
    marks = shown.locator(".plot .mark").count()
    shown.click("summary")
    assert shown.locator(".log tbody tr").count() == marks
    assert shown.inner_text(".class-name") in shown.inner_text(".log tbody tr >> nth=0")


def test_the_model_panel_names_kind_version_and_scores(server, shown):
    panel = shown.inner_text(".model")
    assert httpx.get(f"{server.address}/health").json()["model_version"] in panel
    assert "climatology" in panel
    assert "No scores are stored with this version" in panel


def test_a_new_version_is_noticed_while_the_page_is_open(start_server, visit, tmp_path):
    server = start_server()
    page = visit(server.address).example()
    before, peak = page.inner_text(".model .version"), page.inner_text(".class-name")
    assert page.inner_text("#notice") == ""
    serve_another(tmp_path)
    page.wait_for_selector("#notice p")
    after = page.inner_text(".model .version").removeprefix("version ")
    assert before != f"version {after}"
    notice = f"Version {after} is live now; the forecast shown is from {before}."
    assert page.inner_text("#notice p") == notice
    assert page.inner_text(".class-name") == peak  # nothing changes under the reader's eyes
    page.click("#notice button")
    page.wait_for_selector("#notice p", state="detached")
    assert page.inner_text(".class-name") != peak


def test_a_server_that_cannot_be_reached_is_reported(start_server, visit):
    server = start_server()
    tab = visit(server.address)
    server.stop()
    page = tab.page
    page.click("#example")
    page.wait_for_selector("#alert .problem")
    assert "The server cannot be reached" in problem(page)
    page.wait_for_selector("#state[data-state=off]")
    assert page.inner_text("#state") == "Server not reachable"
    assert tab.errors != []
    assert all("ERR_CONNECTION" in error for error in tab.errors)  # Chromium's, not the page's
    tab.errors.clear()


def test_a_server_with_a_key_is_used_with_it(start_server, visit):
    server = start_server(FLARE_API_KEY="a-key-for-this-test-alone-0123456789")
    page = visit(server.address).page
    page.click("#example")
    page.wait_for_selector("#alert .problem")
    page.fill("#key", "a-key-for-this-test-alone-0123456789")
    page.keyboard.press("Enter")
    page.wait_for_selector("#grid .tile")
    assert problem(page) == ""
    page.wait_for_selector(".plot .mark")
    stored = page.evaluate("[Object.keys(localStorage).length, Object.keys(sessionStorage).length]")
    assert stored == [0, 1]
