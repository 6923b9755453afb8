"""Whether what a graph has saved may be overwritten: in its last backward pass."""

import torch


def in_last_backward() -> bool:
    """Returns whether the backward pass in progress is the last one through its graph.

    Then autograd frees what was saved as soon as it was used, and its memory may take the gradient.
    False under ``retain_graph`` and ``create_graph``, while compiling, and with a torch that cannot
    tell.
    """
    keeps = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", None)
    if torch.compiler.is_compiling() or keeps is None:
        return False
    return not keeps()
