"""Sphinx: `make docs` writes the site to outputs/site; every warning is an error."""

import shutil
import sys
import warnings
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path[:0] = [str(ROOT), str(DOCS)]
warnings.filterwarnings("ignore", category=DeprecationWarning)  # of Sphinx's extensions

from reference import write_reference  # noqa: E402

project = "flare"
copyright = "2026 the flare authors, MIT licence"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "flare"
html_copy_source = False
nb_execution_mode = "off"  # `make notebooks` executes them; the site shows what it finds
myst_heading_anchors = 3
myst_links_external_new_tab = True
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_format = "short"
napoleon_use_rtype = False


def copy_notebooks() -> None:
    """Put the notebooks below docs/, the executed ones where there are some."""
    dest = DOCS / "notebooks"
    shutil.rmtree(dest, ignore_errors=True)
    dest.mkdir()
    for source in sorted((ROOT / "notebooks").glob("*.ipynb")):
        executed = ROOT / "outputs" / "notebooks" / source.name
        shutil.copyfile(executed if executed.is_file() else source, dest / source.name)


copy_notebooks()
write_reference(DOCS / "reference")
