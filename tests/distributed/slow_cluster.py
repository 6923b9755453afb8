"""`pcclust cluster` that takes its time and keeps every state: it can be killed at any point."""

import time

from pcclust.cli.main import main
from pcclust.distributed import cluster_job
from pcclust.distributed.share import Share

SECONDS = 0.15  # of a pass


def slowed(name):
    usual = getattr(Share, name)

    def slow(self, *arguments):
        time.sleep(SECONDS)
        return usual(self, *arguments)

    setattr(Share, name, slow)


if __name__ == "__main__":
    cluster_job.PAUSE = 0.0
    for name in ("assign", "add_candidates", "means", "inertia"):
        slowed(name)
    main()
