"""Where k-means over many processes starts: k-means‖, then k-means++ on what it chooses."""

from collections.abc import Callable

import torch
from torch import Tensor

from pcclust.cluster.plain_kmeans import plain_kmeans
from pcclust.distributed.draws import uniforms
from pcclust.distributed.share import Share

ROUNDS = 5
OVERSAMPLING = 2  # candidates of a round, in clusters
FIRST, MORE = 0, ROUNDS + 1  # uses of the seed beside the rounds, which are 1 to 5
STARTS = 4  # on the weighted candidates
RECLUSTERING = 10  # iterations on the weighted candidates, which cost next to nothing


def choose_candidates(
    share: Share,
    clusters: int,
    seed: int,
    known: list[Tensor],
    keep: Callable[[list[Tensor]], None],
) -> Tensor:
    """Chooses rows that may become centers, by k-means‖.

    After a row at random, each of five rounds takes every row with probability 2K · d² / Σ d², d
    its distance to the nearest candidate so far (Bahmani et al., Scalable K-Means++, 2012,
    algorithm 2). Then all rows are assigned to the candidates.

    Args:
        share: the rows of this process.
        clusters: K.
        seed: of the draws.
        known: the numbers of the rows that former rounds chose, of a job that goes on.
        keep: is told them after each round.

    Returns:
        ``(M, D)`` candidates, at least K.
    """
    rounds = list(known)
    found = share.shift.new_empty((0, len(share.shift)))
    for number in range(ROUNDS + 1):
        if number == len(rounds):
            rounds.append(_drawn(share, clusters, seed, number))
            keep(rounds)
        rows = rows_of_all(share, rounds[number])
        if len(rows):
            share.add_candidates(rows, len(found))
        found = torch.cat([found, rows])
    if len(found) >= clusters:
        return found
    rounds.append(_lowest(share, clusters, seed, torch.cat(rounds)))
    rows = rows_of_all(share, rounds[-1])
    share.add_candidates(rows, len(found))
    return torch.cat([found, rows])


def centers_of_candidates(share: Share, candidates: int, clusters: int, seed: int) -> Tensor:
    """Returns centers ``(K, D)``: k-means++ of the means of the rows that follow each candidate.

    The means say more of many rows than a candidate, one of them, does.

    Args:
        share: its labels are candidates.
        candidates: how many, at least K.
        clusters: K.
        seed: of k-means++.
    """
    means, masses = share.means(candidates)
    centers = share.shift.new_empty((clusters, means.shape[1]))
    if share.group.first:
        points, weights = means.to(centers.dtype), masses.to(centers.dtype)
        # Clusters that stay empty are split later.
        centers = plain_kmeans(
            points, clusters, seed, weights=weights, starts=STARTS, max_iter=RECLUSTERING
        )
    return share.group.from_first(centers)


def rows_of_all(share: Share, numbers: Tensor) -> Tensor:
    """Returns rows by their numbers among all, ascending, whichever process has them."""
    own = numbers[(numbers >= share.first) & (numbers < share.last)]
    return share.group.joined(share.take(own))


def _drawn(share: Share, clusters: int, seed: int, number: int) -> Tensor:
    """Returns the numbers of the rows that a round chooses, ascending."""
    count = share.rows.count
    if number == FIRST:
        row = int(float(uniforms(0, 1, seed, FIRST)[0]) * count)
        return torch.tensor([min(row, count - 1)], device=share.group.device)
    cost = share.inertia()
    if cost <= 0:  # every row coincides with a candidate
        return torch.empty(0, dtype=torch.int64, device=share.group.device)
    chosen = [torch.empty(0, dtype=torch.int64, device=share.group.device)]
    for place in share.places():
        first, distances = share.first + place.start, share.distances[place]
        draws = uniforms(first, len(distances), seed, number).to(distances.device)
        chances = distances.double() * (OVERSAMPLING * clusters / cost)
        chosen.append((draws < chances).nonzero().flatten() + first)
    return share.group.joined(torch.cat(chosen))


def _lowest(share: Share, clusters: int, seed: int, chosen: Tensor) -> Tensor:
    """Returns so many of the other rows, at random, that there is one for each cluster."""
    draws = uniforms(share.first, len(share), seed, MORE).to(share.group.device)
    own = chosen[(chosen >= share.first) & (chosen < share.last)] - share.first
    draws[own] = 2.0
    lacking = clusters - len(chosen)
    order = draws.argsort(stable=True)[:lacking]
    lowest = share.group.joined(draws[order]).argsort(stable=True)[:lacking]
    return share.group.joined(order + share.first)[lowest].sort().values
