"""What is said of the clusters of a round."""

import numpy as np
import torch

from pcclust.methods.pseudo_label_file import StoredLabels


def test_it_counts_shapes_clusters_and_empty_ones():
    labels = torch.tensor([0, 0, 0, 2, 2])
    measures = {"perplexity": 1.96, "nmi": 0.5}
    found = StoredLabels(labels, np.array([3, 0, 2]), measures, {}, "key")
    assert found.describe() == (
        "5 shapes in 3 clusters of 0 to 3, 1 empty, as even as 2.0 of equal size; "
        "NMI with the round before 0.500"
    )
