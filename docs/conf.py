"""How Sphinx builds the documentation: ``make docs``."""

from pcclust._version import __version__

project = "pcclust"
author = "The pcclust authors"
copyright = "2026, the pcclust authors, under the Apache License 2.0"
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build", "notebooks/*.py"]
html_theme = "furo"
html_title = f"pcclust {__version__}"
html_static_path = ["_static"]
html_css_files = ["wide_tables.css"]
html_js_files = ["accessible.js"]
html_theme_options = {"top_of_page_buttons": []}

# Notebooks come with their outputs; `make notebooks` runs them.
nb_execution_mode = "off"
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

# Code blocks without a language are command lines.
highlight_language = "bash"

# Names in backticks are of Python objects, and become links where there is a page of them.
default_role = "py:obj"
autosummary_generate = True
autodoc_typehints = "none"  # signatures have them already
autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
