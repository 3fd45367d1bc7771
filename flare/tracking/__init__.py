"""Everything that uses MLflow: runs, packaging, registry."""

from pathlib import Path

#: The models-from-code script. A path and not a module: MLflow runs the file.
pyfunc_path = Path(__file__).parent / "pyfunc_model.py"
