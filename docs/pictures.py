"""Make docs/images/overview.png: the page, and MLflow's comparison of runs, side by side.

`python docs/pictures.py http://127.0.0.1:8000 http://127.0.0.1:5000` while `make serve` and
`make ui` run after a `make demo`; drives the system's Chromium.
"""

import shutil
import sys
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

DEST = Path(__file__).parent / "images" / "overview.png"
HEIGHT, COLOURS = 560, 128  # pixels of the picture; colours of its palette, to keep it small


def page(browser: Browser, address: str) -> bytes:
    """Return the page with the example's forecast."""
    tab = browser.new_page(viewport={"width": 1200, "height": 1050})
    tab.goto(address)
    tab.locator("#example").click()
    tab.wait_for_timeout(8000)
    return tab.screenshot()


def comparison(browser: Browser, address: str) -> bytes:
    """Return MLflow's charts of the models' scores."""
    tab = browser.new_page(viewport={"width": 1500, "height": 1050})
    tab.goto(f"{address}/#/experiments/1/models?workflowType=machine_learning")
    tab.wait_for_timeout(6000)
    for close in tab.get_by_role("button", name="Close").all():  # of MLflow's assistant
        close.click()
    tab.mouse.click(304, 120)  # charts instead of a table
    tab.wait_for_timeout(5000)
    return tab.screenshot()


def main() -> None:
    """Take both screenshots, and write them side by side."""
    path = shutil.which("chromium")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        shots = [page(browser, sys.argv[1]), comparison(browser, sys.argv[2])]
        browser.close()
    images = [Image.open(BytesIO(shot)).convert("RGB") for shot in shots]
    small = [one.resize((one.width * HEIGHT // one.height, HEIGHT)) for one in images]
    whole = Image.new("RGB", (sum(one.width for one in small) + 8, HEIGHT), "white")
    whole.paste(small[0], (0, 0))
    whole.paste(small[1], (small[0].width + 8, 0))
    whole.quantize(COLOURS).save(DEST, optimize=True)


if __name__ == "__main__":
    main()
