"""`pcclust pretrain` where no shape fits memory; it tells which shapes were read for batches."""

import json
import os
import sys
import threading
from pathlib import Path

from pcclust.cli.main import main
from pcclust.data import held
from pcclust.data.hdf5_storage import Hdf5Storage

if __name__ == "__main__":
    rows, read = [], Hdf5Storage.read

    def watched(self, asked):
        if threading.current_thread().name.startswith("pcclust-loader"):
            rows.extend(asked.tolist())
        return read(self, asked)

    Hdf5Storage.read = watched
    held.MEMORY_LIMIT = 0
    told = Path(sys.argv.pop(1)) / f"rows-{os.environ['RANK']}.json"
    try:
        main()
    finally:
        told.write_text(json.dumps(rows))
