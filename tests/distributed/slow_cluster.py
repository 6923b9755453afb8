"""`pcclust cluster` that takes its time and keeps every state: it can be killed at any point."""

import time
from datetime import timedelta

from pcclust.cli.main import main
from pcclust.distributed import cluster_job, group
from pcclust.distributed.share import Share

SECONDS = 0.15  # of a pass


def slowed(name):
    usual = getattr(Share, name)

    def slow(self, *arguments):
        time.sleep(SECONDS)
        return usual(self, *arguments)

    setattr(Share, name, slow)


if __name__ == "__main__":
    cluster_job.PAUSE, group.CONNECTING = 0.0, timedelta(seconds=30)
    for name in ("assign", "add_candidates", "means", "inertia"):
        slowed(name)
    main()
