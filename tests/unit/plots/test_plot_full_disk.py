import numpy as np
from layout import all_text, unreadable
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from flare.plots.full_disk import RegionBox, full_disk_figure

BOXES = [
    RegionBox(300.0, 250.0, "14397\n12.5%", alert=True),
    RegionBox(360.0, 230.0, "14398\n1.0%", alert=False),  # label beside that of its neighbour
    RegionBox(330.0, 290.0, "14399\nno forecast", alert=None),
    RegionBox(-940.0, -120.0, "14400\n0.1%", alert=False),
]


def figure(warning=""):
    grey = np.zeros((64, 64), np.uint8)
    grey[:32, 32:] = 200  # north-west
    return full_disk_figure(
        grey, BOXES, channel="193", field=2457.6, radius=960.0, box_width=307.2,
        title="Forecast", small_print="of regions", warning=warning,
    )  # fmt: skip


def test_every_region_has_its_field_and_a_label_that_can_be_read():
    drawn = figure()
    boxes = [one for one in drawn.axes[0].patches if isinstance(one, Rectangle)]
    centres = np.array([one.get_center() for one in boxes])
    np.testing.assert_allclose(centres, [(one.x, one.y) for one in BOXES])
    colours = [to_hex(one.get_edgecolor()) for one in boxes]
    assert colours[1] == colours[3]
    assert len(set(colours)) == 3  # alert, no alert, no forecast
    assert unreadable(drawn) == []


def test_north_is_up_and_west_is_right():
    image = figure().axes[0].images[0]
    assert image.get_extent() == [-1228.8, 1228.8, -1228.8, 1228.8]
    assert image.origin == "upper"
    assert image.get_array()[0, -1] == 200


def test_a_warning_stands_above_the_disk():
    drawn = figure("WARNING: this model learned from SYNTHETIC regions; " + "and more " * 12)
    assert "SYNTHETIC" in all_text(drawn)
    assert unreadable(drawn) == []
