"""Settings of the documentation: `make docs` builds it."""

import tomllib
from pathlib import Path

_settings = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text("utf-8"))

project = "actorflow"
copyright = "the actorflow developers"
version = release = _settings["project"]["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "changelog.d"]
default_role = "code"  # `x` in a docstring is code

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Shapes", "params_style"), ("Cost", "notes_style")]

html_theme = "furo"
html_title = f"actorflow {release}"
