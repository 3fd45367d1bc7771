"""The parameters of the entry point ``explain``."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from flare.config.groups import BaseRatesOption, ModelNameOption, SampleOptions, one_of

#: Numbers of places on an edge of an image that a map may have.
GRIDS = (2, 4, 8, 16)


class ExplainConfig(SampleOptions, BaseRatesOption, ModelNameOption):
    """Show which images, places and features a forecast rests on."""

    model: str = Field(
        "Production", description="run id, version number, alias, models:/ URI or folder"
    )
    event: Literal["B1.0", "C1.0", "M1.0", "X1.0"] = Field(
        "M1.0", description="event whose probability is explained"
    )
    method: Literal["occlusion", "gradients"] = Field(
        "occlusion",
        description="occlusion: hide a part and forecast again, for every model; gradients: "
        "Integrated Gradients by pixel too, for one network, needs Captum",
    )
    grid: Annotated[int, one_of(*GRIDS)] = Field(
        8, description="places on an edge of the image that are hidden in turn: 2, 4, 8 or 16"
    )
    output_dir: Path = Field(Path("outputs/explanation"), description="folder for the figure")
