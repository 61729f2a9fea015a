"""``python -m cli`` is ``ashare``."""

from cli.entry import main

if __name__ == "__main__":
    main()
