"""Methods of training, one a file."""

from importlib import import_module
from typing import TYPE_CHECKING

from pcclust._names import nearest

if TYPE_CHECKING:
    from pcclust.methods.stages import Recipe

# What `pcclust pretrain` offers, by name: the module whose RECIPE it is, imported when it is used.
METHODS = {
    "cc": "pcclust.methods.cc",
    "contrastnet": "pcclust.methods.contrastnet_presets",
    "dec": "pcclust.methods.dec",
    "deepcluster": "pcclust.methods.deepcluster",
    "htcn": "pcclust.methods.htcn",
    "pcl": "pcclust.methods.pcl",
    "pica": "pcclust.methods.pica",
    "scan": "pcclust.methods.scan",
    "simclr": "pcclust.methods.simclr",
    "spice": "pcclust.methods.spice",
    "temi": "pcclust.methods.temi",
    "vade": "pcclust.methods.vade",
}


def find_recipe(name: str) -> "Recipe":
    """Returns the recipe of a method.

    Raises:
        ValueError: there is no such method.

    Example:
        >>> from pcclust.methods import find_recipe
        >>> list(find_recipe("contrastnet").presets)
        ['rotation-invariant', 'zhang2019']
    """
    if name not in METHODS:
        raise ValueError(f"there is no method {name!r}{nearest(name, METHODS)}")
    recipe: Recipe = import_module(METHODS[name]).RECIPE
    return recipe
