"""Configuration of the documentation site.

The source folder is the root of the repository, so that the links of the pages work on GitHub and on the site alike.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import airflow_provider_engagement

_ROOT = Path(__file__).resolve().parent.parent
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
_REPOSITORY = _PROJECT["urls"]["Repository"]

project = _PROJECT["name"]
author = project_copyright = _PROJECT["authors"][0]["name"]
version = release = airflow_provider_engagement.__version__

extensions = ["myst_parser", "sphinx.ext.apidoc", "sphinx.ext.autodoc", "sphinx_copybutton", "sphinx_external_toc"]

root_doc = "docs/index"
include_patterns = ["docs/**", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
exclude_patterns = [".*", "docs/_build", "docs/api/modules.rst"]
external_toc_path = "docs/toc.yml"

# Headings get the anchors that GitHub gives them.
myst_heading_anchors = 4

# Each build generates the pages of the Python API anew, into a folder that Git ignores.
apidoc_modules = [
    {
        "path": "../airflow_provider_engagement",
        "destination": "docs/api",
        "exclude_patterns": ["**/__main__.py"],
        "separate_modules": True,
        "module_first": True,
        "automodule_options": {"members", "show-inheritance"},
    }
]
# toc.yml orders the pages; the generated pages list their modules themselves. Some SQL is that of DuckDB or Grafana,
# which the highlighter does not know.
suppress_warnings = ["etoc.toctree", "misc.highlighting_failure"]

# Members that a package re-exports are documented in the module that defines them.
autodoc_default_options = {"ignore-module-all": True}
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
add_module_names = False

# References to this package must resolve. Other packages have no pages here. Type variables, and names that only type
# checkers import, stay bare in annotations. tests/test_docs.py checks the bare names in docstrings.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(abc|airflow|collections|contextlib|datetime|decimal|email|enum|io|pathlib|random|urllib)\..*"),
    (r"py:.*", r"(zoneinfo|deltalake|dlt|duckdb|fastapi|pyarrow|requests|starlette)\..*"),
    # Variables of types, and base classes that are not public.
    (r"py:class|py:obj", r"\w+|airflow_provider_engagement\.[\w.]+(T|\.(Batch|Result|Planned|Parsed|Quota|_\w+))"),
]

html_theme = "furo"
html_title = f"{project} {release}"
html_theme_options = {"source_repository": _REPOSITORY, "source_branch": "main", "source_directory": ""}
html_extra_path = ["site"]
