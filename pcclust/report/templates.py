"""The templates of pages: a text that is put into one is escaped, unless it is markup already."""

import json
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pcclust._names import visible

__all__ = ["Markup", "asset", "paragraphs", "render", "script_json"]


def render(template: str, **values: object) -> Markup:
    """Returns a template of this package, filled in.

    Args:
        template: the name of its file without ``.html``.
        **values: by the names that the template uses. Whatever is no `Markup` is escaped.

    Raises:
        jinja2.UndefinedError: the template uses a value that is not given.

    Example:
        >>> print(render("details", title="a < b", body=Markup("<p>No.</p>")))
        <details><summary>a &lt; b</summary><p>No.</p></details>
    """
    return Markup(_environment().get_template(f"{template}.html").render(**values))


def paragraphs(*texts: str) -> Markup:
    """Returns a paragraph for each text.

    Example:
        >>> paragraphs("a < b", "c")
        Markup('<p>a &lt; b</p><p>c</p>')
    """
    return Markup("").join(Markup("<p>{}</p>").format(text) for text in texts)


def script_json(data: object) -> Markup:
    r"""Returns data as JSON that can stand in a script tag.

    Example:
        >>> script_json({"name": "</script>"})
        Markup('{"name": "\\u003c/script>"}')
    """
    # "<" never stands in it, so that no name can end the tag.
    return Markup(json.dumps(data, ensure_ascii=True).replace("<", "\\u003c"))


def asset(name: str) -> Markup:
    """Returns the text of a style or a script that comes with this package."""
    return Markup(resources.files("pcclust.report").joinpath(name).read_text(encoding="utf-8"))


def _shown(value: object) -> object:
    """Returns what a template prints: of texts that came from elsewhere, what is hidden, too."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("pcclust.report", "."),
        autoescape=True,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
