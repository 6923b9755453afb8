"""``python -m pcclust`` is ``pcclust``."""

from pcclust.cli.main import main

if __name__ == "__main__":
    main()
