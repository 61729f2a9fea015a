"""``ashare acl``: who may do what on a cluster that checks it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli.help import App
from cli.settings import default, option
from schemas import UsageError

app = App(help="Write and check the rules of a Kafka cluster's authorizer.", no_args_is_help=True)

_Teams = Annotated[
    list[str] | None,
    typer.Option("--team", metavar="NAME", help="a team of readers, with a user of that name; repeatable"),
]
_Users = Annotated[
    list[str] | None,
    typer.Option(
        "--principal",
        metavar="PART=USER",
        help="Kafka's name of a part's user, where it is not User:PART, as producer=User:CN=feed; repeatable",
    ),
]


@app.command()
def apply(
    bootstrap: Annotated[str, option("bootstrap")] = default("bootstrap"),
    team: _Teams = None,
    principal: _Users = None,
    *,
    prune: Annotated[bool, typer.Option("--prune", help="take away further rules of these users")] = False,
) -> None:
    """Allow each part what it needs, and nothing else.

    What that is stands in schemas/acls.yaml. Run it as a user who may change rules.

    Example: ashare acl apply --team quant --team risk
    """
    from broker import acls

    done = _run(acls.apply(bootstrap, _declared(team, principal), prune=prune))
    print("\n".join(done) or "nothing to do: the rules are as declared")


@app.command()
def show(bootstrap: Annotated[str, option("bootstrap")] = default("bootstrap")) -> None:
    """List the rules that the cluster has.

    Example: ashare acl show
    """
    from broker import acls

    found = _run(acls.show(bootstrap))
    print("\n".join(map(str, found)) or "no rules: nobody but super users may do anything")


@app.command()
def check(
    bootstrap: Annotated[str, option("bootstrap")] = default("bootstrap"),
    team: _Teams = None,
    principal: _Users = None,
) -> None:
    """Compare the cluster's rules with the declared ones.

    Exit code 1 if one is missing, or if one of these users may do more.

    Example: ashare acl check --team quant
    """
    from broker import acls

    wanted = set(_declared(team, principal))
    there = set(_run(acls.show(bootstrap)))
    users = {rule.principal for rule in wanted}
    missing = sorted(wanted - there)
    more = sorted(rule for rule in there - wanted if rule.principal in users)
    for rule in missing:
        print(f"missing  {rule}")
    for rule in more:
        print(f"more     {rule}")
    if missing or more:
        print("`ashare acl apply --prune` makes the rules as declared")
        raise typer.Exit(1)
    print(f"as declared: {len(wanted)} rules of {len(users)} users")


def _declared(teams: list[str] | None, principals: list[str] | None) -> Any:
    from schemas.acls import declared, roles

    named = {}
    for text in principals or ():
        part, equals, user = text.partition("=")
        if not equals or ":" not in user:
            raise UsageError(f"--principal {text!r}: give PART=USER, as producer=User:feed")
        if part not in roles() and part not in (teams or ()):
            raise UsageError(f"--principal {text!r}: {part} is no part: there are {', '.join(roles())}")
        named[part] = user
    return declared(teams or (), named)


def _run(work: Any) -> Any:
    import asyncio
    import logging

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it logs every attempt
    return asyncio.run(work)
