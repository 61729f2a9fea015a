"""Makes what ``docker-compose.secure.yml`` reads from ``./secrets``: ``python -m deploy.docker.make_secrets [FOLDER]``.

An authority, the broker's certificate, and a password for each user of ``schemas/acls.yaml``. What is there stays. The
folder is for its owner alone; the files in it can be read by all, since Compose hands them to containers as they are.
"""

from __future__ import annotations

import sys
from pathlib import Path

from deploy.embedded.secure import ADMIN, Secrets
from schemas.acls import roles

HOSTS = ("kafka", "localhost", "127.0.0.1")
"""By which clients dial the broker: in the network of the containers, and from the machine."""


def make(folder: Path) -> Secrets:
    """Make what is missing; ``folder`` too."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    secrets = Secrets(folder)
    secrets.prepare(HOSTS)
    for user in (ADMIN, *roles()):
        secrets.password(user)
    for file in folder.iterdir():
        file.chmod(0o644)
    return secrets


if __name__ == "__main__":
    made = make(Path(sys.argv[1] if len(sys.argv) > 1 else "secrets"))
    sys.stdout.write(
        f"{made.folder}: authority, broker's certificate, and passwords of {', '.join((ADMIN, *roles()))}\n"
    )
