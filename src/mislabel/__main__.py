"""``python -m mislabel`` is the command ``mislabel``."""

from mislabel.cli import main

if __name__ == "__main__":
    main()
