"""Settings of the documentation: `make docs` builds it."""

import re
import tomllib
from pathlib import Path

from sphinx.util import inspect

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


def _as_rst(_app, _what, _name, _object, _options, lines):
    """Turn what our docstrings have and reStructuredText has not: `Name`s and barred tables."""
    text = re.sub(r"(?<=\w)`(?=s\b)", r"`\\ ", "\n".join(lines))
    lines[:] = re.sub(r"(?m)(?:^\|.*\|\n?)+", _list_table, text + "\n").splitlines()


def _list_table(table):
    rows = [[cell.strip() for cell in row[1:-1].split("|")] for row in table[0].splitlines()]
    del rows[1]  # the rule below the heading
    body = [f"   {'  ' if n else '* '}- {cell}" for row in rows for n, cell in enumerate(row)]
    return "\n".join([".. list-table::", "   :header-rows: 1", "", *body, "", ""])


def _by_init(_app, what, _name, documented, _options, signature, returns):
    """Show the arguments of `__init__`, also where `__new__` chooses a subclass."""
    if what == "class" and {"__new__", "__init__"} <= vars(documented).keys():
        arguments = inspect.signature(documented.__init__, bound_method=True)
        signature = inspect.stringify_signature(
            arguments, show_return_annotation=False, unqualified_typehints=True
        )
    return signature, returns


def setup(app):
    """Called by Sphinx."""
    app.connect("autodoc-process-signature", _by_init)
    app.connect("autodoc-process-docstring", _as_rst)
