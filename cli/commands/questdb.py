"""``ashare questdb``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="data directory, made if it is missing")] = Path(
        "data/questdb"
    ),
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="port on 127.0.0.1; 0 takes a free one")
    ] = 9000,
) -> None:
    """Run a QuestDB in the foreground, until Ctrl-C.

    Prints `questdb ready on 127.0.0.1:PORT` when it answers: ILP, SQL and its console over HTTP. Its user is admin, and
    its password is made at the first start, in DATA/password. To the workers it is the store
    questdb://admin@127.0.0.1:PORT?password_file=DATA/password.

    Example: ashare questdb --data data/questdb --port 9000
    """
    from deploy.embedded import QuestDB
    from deploy.embedded.foreground import run

    run(QuestDB(data, port), "questdb")
