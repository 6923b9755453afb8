"""Files whose examples need a library that may be missing are not collected without it."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("torch_geometric") else ["pcclust/pyg/transforms.py"]
