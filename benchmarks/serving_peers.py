"""The servers in the comparison of `benchmarks.serving`. All read FLARE_BENCH_MODEL, a folder.

Applications for uvicorn; LitServe is in `serving_litserve`.
"""

import io
import os
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI, File, Request, UploadFile

from flare.forecasters.answer import answers
from flare.forecasters.base import Forecaster
from flare.forecasters.storage import load
from flare.sample import CUBE_SHAPE, present_of_cube


def forecaster_of(folder: str = "FLARE_BENCH_MODEL") -> Forecaster:
    """Load the forecaster of the folder that an environment variable names."""
    return load(Path(os.environ[folder]))


def grey(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return one cube of grey levels; floats are cast, and nothing is checked."""
    return np.ascontiguousarray(array.astype(np.uint8, copy=False).reshape(1, *CUBE_SHAPE))


def seed() -> FastAPI:
    """Make the simplest server: UploadFile, np.load and eager PyTorch, without ONNX."""
    app, forecaster = FastAPI(), forecaster_of("FLARE_BENCH_EAGER")

    @app.post("/predict_npy")
    async def predict_npy(file: Annotated[UploadFile, File()]) -> dict[str, Any]:
        cubes = grey(np.load(io.BytesIO(await file.read())))
        return dict(answers(forecaster, forecaster.predict(cubes, present_of_cube(cubes)))[0])

    return app


def null_upload() -> FastAPI:
    """Make the simplest server without a model: UploadFile, np.load and a constant."""
    app = FastAPI()

    @app.post("/predict_npy")
    async def predict_npy(file: Annotated[UploadFile, File()]) -> dict[str, Any]:
        array = np.load(io.BytesIO(await file.read()))
        return {"shape": array.shape}

    return app


def json_body() -> FastAPI:
    """Make a server for the body that `mlflow models serve` takes, with our engine."""
    app, forecaster = FastAPI(), forecaster_of().with_threads(1)

    @app.post("/invocations")
    async def invocations(request: Request) -> dict[str, Any]:
        cubes = np.asarray((await request.json())["inputs"], dtype=np.uint8)
        return dict(answers(forecaster, forecaster.predict(cubes, present_of_cube(cubes)))[0])

    return app
