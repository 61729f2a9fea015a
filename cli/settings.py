"""Every setting, declared once: its flag, its environment variable, what it means, whether it is a secret."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, Signature
from pathlib import Path
from typing import Annotated, Any

import typer

from broker import security
from cli import checks
from cli.metavars import SHOWN
from schemas import UsageError
from schemas.addresses import address_secrets
from schemas.secrets import keep
from schemas.text_files import read_secret

PREFIX = "ASHARE_"


@dataclass(frozen=True)
class Setting:
    """One setting. A secret may also be read from the file that ``<env>_FILE`` names, and is never printed.

    Attributes:
        masked: is not printed either, since it may hold a secret.
    """

    name: str
    flag: str
    env: str
    about: str
    default: Any = None
    secret: bool = False
    masked: bool = False


_DECLARED = (
    Setting(
        "bootstrap", "--bootstrap", "ASHARE_KAFKA_BOOTSTRAP", "Kafka brokers, HOST:PORT[,HOST:PORT]", "127.0.0.1:9092"
    ),
    Setting(
        "kafka_client",
        "--kafka-client",
        "ASHARE_KAFKA_CLIENT",
        "who packs requests to Kafka: direct (fast) or plain (aiokafka); the flag stands before the command",
        "direct",
    ),
    Setting(
        "kafka_security",
        "--kafka-security",
        security.SECURITY,
        "how Kafka is spoken to: plaintext, tls, sasl-tls (TLS and a login) or sasl-plaintext",
        "plaintext",
    ),
    Setting("kafka_user", "--kafka-user", security.USER, "the user who logs in to Kafka"),
    Setting("kafka_password", "--kafka-password", security.PASSWORD, "the user's password", secret=True),
    Setting(
        "kafka_mechanism",
        "--kafka-mechanism",
        security.MECHANISM,
        "of the login: SCRAM-SHA-512, SCRAM-SHA-256, PLAIN or OAUTHBEARER",
        "SCRAM-SHA-512",
    ),
    Setting(
        "kafka_token_file",
        "--kafka-token-file",
        security.TOKEN_FILE,
        "file that holds the token of OAUTHBEARER, read anew for each connection",
    ),
    Setting(
        "kafka_ca",
        "--kafka-ca",
        security.CA,
        "file of the authorities that may have signed the brokers' certificates, in PEM; default: the system's",
    ),
    Setting(
        "kafka_certificate",
        "--kafka-certificate",
        security.CERTIFICATE,
        "file of this client's certificate, in PEM, where the brokers want one",
    ),
    Setting("kafka_key", "--kafka-key", security.KEY, "file of the certificate's key; default: in the same file"),
    Setting(
        "kafka_key_password", "--kafka-key-password", security.KEY_PASSWORD, "the password of the key", secret=True
    ),
    Setting(
        "kafka_check_host",
        "--kafka-check-host",
        security.CHECK_HOST,
        "whether a broker's certificate must be of the host that was dialled: true or false",
        "true",
    ),
    Setting(
        "feed", "--feed", "ASHARE_FEED", "the provider whose protocol is spoken; `ashare feeds` lists them", "post"
    ),
    Setting(
        "url",
        "--url",
        "ASHARE_FEED_URL",
        "the feed's WebSocket, ws:// or wss://; default: the provider's own, for post ws://127.0.0.1:8765",
    ),
    Setting("token", "--token", "ASHARE_FEED_TOKEN", "the feed's token, sent where the provider wants it", secret=True),
    Setting(
        "second_token",
        "--second-token",
        "ASHARE_SECOND_FEED_TOKEN",
        "of the second feed; default, with the same provider: --token",
        secret=True,
    ),
    Setting(
        "symbols",
        "--symbols",
        "ASHARE_FEED_SYMBOLS",
        "JSON array, comma string or *, sent to post in the form given; @FILE reads a watchlist",
        "*",
    ),
    Setting(
        "watchlist",
        "--watchlist",
        "ASHARE_FEED_WATCHLIST",
        "file of the codes, one a line: watched while running, and changed by `ashare watchlist`",
    ),
    Setting(
        "lines", "--lines", "ASHARE_FEED_LINES", "connections to deal the codes to; default: as many as the codes need"
    ),
    Setting(
        "arbitrate",
        "--arbitrate",
        "ASHARE_FEED_ARBITRATE",
        "two connections for the same codes, made into one stream: the first arrival wins",
        default=False,
    ),
    Setting(
        "second_feed",
        "--second-feed",
        "ASHARE_SECOND_FEED",
        "protocol of the second connection, where it is another provider's; default: --feed",
    ),
    Setting(
        "second_url",
        "--second-url",
        "ASHARE_FEED_SECOND_URL",
        "where the second connection dials; default: --url, or the second provider's own address",
    ),
    Setting(
        "source",
        "--source",
        "ASHARE_FEED_SOURCE",
        "line id, written into every tick; SOURCE-1, SOURCE-2 … with several lines; default for another feed: FEED-1",
        "post-1",
    ),
    Setting("trades_only", "--trades-only", "ASHARE_FEED_TRADES_ONLY", "only stocks with actual trades", default=False),
    Setting(
        "foreign",
        "--foreign",
        "ASHARE_FEED_FOREIGN",
        "let through what is not an A share (000001.SSE, funds, B shares)",
        default=False,
    ),
    Setting(
        "kinds",
        "--kinds",
        "ASHARE_KINDS",
        "kinds of instruments to take: a-share, fund, convertible, index, with commas",
        "a-share",
    ),
    Setting(
        "quality",
        "--quality",
        "ASHARE_FEED_QUALITY",
        "ticks that look wrong: mark (they pass, with what is wrong), quarantine (to the dead letters) or off",
        "mark",
    ),
    Setting(
        "own_clock",
        "--own-clock",
        "ASHARE_FEED_OWN_CLOCK",
        "the feed's times are not compared with our clock: a recording or a simulator",
        default=False,
    ),
    Setting("heartbeat", "--heartbeat", "ASHARE_FEED_HEARTBEAT", "seconds between pings to the feed, 0 for none", 20.0),
    Setting(
        "heartbeat_message",
        "--heartbeat-message",
        "ASHARE_FEED_HEARTBEAT_MESSAGE",
        'text to send with each ping, for feeds that ask for it: \'{"action":"ping"}\'',
        masked=True,
    ),
    Setting(
        "volume_unit",
        "--volume-unit",
        "ASHARE_FEED_VOLUME_UNIT",
        "what the feed's volume counts, instead of what is declared: shares, lots, or by board lots,STAR=shares",
    ),
    Setting(
        "turnover",
        "--turnover",
        "ASHARE_FEED_TURNOVER",
        "turnover instead of what is declared: carried, computed (price x shares) or none",
    ),
    Setting(
        "time_unit",
        "--time-unit",
        "ASHARE_FEED_TIME_UNIT",
        "of the feed's time, if declared wrong: auto, s, ms, us, ns",
    ),
    Setting(
        "http_port",
        "--http-port",
        "ASHARE_FEED_HTTP_PORT",
        "port of the producer's HTTP on 127.0.0.1: health, metrics, watchlist; 0 for any; default: none",
    ),
    Setting(
        "http_token",
        "--http-token",
        "ASHARE_FEED_HTTP_TOKEN",
        "what a change of the watchlist by the producer's HTTP needs; default: none, any account of this machine may",
        secret=True,
    ),
    Setting("agents", "--agents", "ASHARE_AGENTS", "agents of this worker", "snapshots,storage,changes"),
    Setting("store", "--store", "ASHARE_STORE", "sqlite:///DIR or questdb://HOST:9000", "sqlite:///data/ticks"),
    Setting("store_user", "--store-user", "ASHARE_STORE_USER", "QuestDB's user; default with a password file: admin"),
    Setting(
        "store_password_file",
        "--store-password-file",
        "ASHARE_STORE_PASSWORD_FILE",
        "file that holds QuestDB's password",
    ),
    Setting(
        "threshold", "--threshold", "ASHARE_THRESHOLD", "0.05 (yuan), 2ticks or 50bp; larger moves are emitted", "0.01"
    ),
    Setting(
        "thresholds",
        "--thresholds",
        "ASHARE_THRESHOLDS",
        "overrides by board and code: board:STAR=50bp,code:600519=0.5",
        "",
    ),
    Setting(
        "web_host", "--web-host", "ASHARE_WEB_HOST", "address that the worker's HTTP server listens on", "127.0.0.1"
    ),
    Setting("web_port", "--web-port", "ASHARE_WEB_PORT", "port of the worker's HTTP server", 6066),
    Setting(
        "web_url",
        "--web-url",
        "ASHARE_WEB_URL",
        "where other workers reach this one's HTTP server; default http://WEB_HOST:WEB_PORT",
    ),
    Setting(
        "web_hosts",
        "--web-hosts",
        "ASHARE_WEB_HOSTS",
        "further names by which the worker's HTTP server may be asked, with commas; others are refused",
        "",
    ),
    Setting(
        "peer_secret",
        "--peer-secret",
        "ASHARE_PEER_SECRET",
        "what the workers of a group share, to ask each other over the network; without it, only on one machine",
        secret=True,
    ),
    Setting(
        "group_instance_id",
        "--group-instance-id",
        "ASHARE_GROUP_INSTANCE_ID",
        "what this worker is called in its consumer groups, no other may be; started again under it within 6 s, it gets"
        " its partitions back without a rebalance; default: HOSTNAME-WEB_PORT",
    ),
    Setting("archive", "--archive", "ASHARE_ARCHIVE", "archive directory; default: data/archive, where there is one"),
    Setting("gateway_host", "--host", "ASHARE_GATEWAY_HOST", "address that the gateway listens on", "127.0.0.1"),
    Setting("gateway_port", "--port", "ASHARE_GATEWAY_PORT", "port of the gateway; 0 for any", 8080),
    Setting(
        "gateway_hosts",
        "--hosts",
        "ASHARE_GATEWAY_HOSTS",
        "further names by which the gateway may be asked, with commas; others are refused",
        "",
    ),
    Setting(
        "gateway_tokens",
        "--tokens",
        "ASHARE_GATEWAY_TOKENS",
        "file of the tokens that may ask the gateway, and for what; needed for any address but loopback",
    ),
    Setting(
        "gateway_page",
        "--page",
        "ASHARE_GATEWAY_PAGE",
        "directory of the built page; default: consumers/web/dist",
    ),
    Setting(
        "gateway_open",
        "--open-to-all",
        "ASHARE_GATEWAY_OPEN",
        "without tokens, also on an address that others reach: everybody there may read all",
        default=False,
    ),
)
SETTINGS: Mapping[str, Setting] = {setting.name: setting for setting in _DECLARED}


def option(name: str) -> Any:
    """A setting as a Typer option, to annotate a parameter whose default is ``default(name)``.

    What it may be is checked before the command begins, where ``cli.checks`` knows.
    """
    setting = SETTINGS[name]
    callback = _checked if name in checks.CHECKS else None
    metavar, panel = SHOWN[name]
    return typer.Option(
        setting.flag,
        envvar=setting.env,
        help=setting.about,
        metavar=metavar,
        rich_help_panel=panel,
        callback=callback,
    )


def _checked(context: typer.Context, parameter: typer.CallbackParam, value: Any) -> Any:
    """Typer's callback of an option: the value as it is, if it is well-formed."""
    setting = next(one for one in _DECLARED if one.flag in parameter.opts)
    source = context.get_parameter_source(parameter.name or "")
    from_environment = source is not None and source.name == "ENVIRONMENT"
    if value not in (None, ""):
        checks.CHECKS[setting.name](str(value), setting.env if from_environment else setting.flag)
    return value


OF_KAFKA = (
    "kafka_security",
    "kafka_user",
    "kafka_password",
    "kafka_mechanism",
    "kafka_token_file",
    "kafka_ca",
    "kafka_certificate",
    "kafka_key",
    "kafka_key_password",
    "kafka_check_host",
)
"""The settings by which a process logs in to Kafka: options of every command that has ``--bootstrap``."""


def kafka_options() -> list[Any]:
    """The options for ``OF_KAFKA``. What is given goes into the environment, where every client of Kafka looks."""
    parameters = [
        Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            default=SETTINGS[name].default,
            annotation=Annotated[
                str if SETTINGS[name].default else str | None,
                typer.Option(
                    SETTINGS[name].flag,
                    envvar=SETTINGS[name].env,
                    help=SETTINGS[name].about,
                    metavar=SHOWN[name][0],
                    rich_help_panel=SHOWN[name][1],
                    expose_value=False,
                    callback=_to_environment,
                ),
            ],
        )
        for name in OF_KAFKA
    ]

    def options() -> None: ...

    options.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    app = typer.Typer(add_completion=False)
    app.command()(options)
    return list(typer.main.get_command(app).params)


def _to_environment(context: typer.Context, parameter: typer.CallbackParam, value: Any) -> Any:
    setting = next(one for one in _DECLARED if one.flag in parameter.opts)
    source = context.get_parameter_source(parameter.name or "")
    if source is not None and source.name == "COMMANDLINE" and value:
        if setting.secret:
            keep(value)
            _warn_of_process_list(setting.flag, f"{setting.env}_FILE")
        os.environ[setting.env] = value
    return value


def default(name: str) -> Any:
    """A setting's default."""
    return SETTINGS[name].default


def secret(name: str, given: str | None) -> str | None:
    """A secret's value: as given by flag or environment, else the content of the file that ``<env>_FILE`` names.

    Raises:
        UsageError: both are set, or the file can't be read.
    """
    variable = f"{SETTINGS[name].env}_FILE"
    path = os.environ.get(variable)
    if path:
        if given:
            raise UsageError(f"{SETTINGS[name].env} and {variable} are both set: keep one")
        given = _of_file(variable, path)
    if given:
        keep(given)
        if any(given in argument for argument in sys.argv[1:]):
            _warn_of_process_list(SETTINGS[name].flag, variable)
    return given


def _of_file(variable: str, path: str) -> str:
    return read_secret(Path(path), variable)


def keep_given(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Keep what is secret in the addresses that a command was given out of all that it shows, whichever setting it is.

    Before any setting is read: an address that is refused is quoted.
    """
    texts = [*arguments, *(argument.partition("=")[2] for argument in arguments if argument.startswith("--"))]
    texts += [
        value for name, value in environment.items() if name.startswith(PREFIX) or name.lower().endswith("_proxy")
    ]
    keep(*(secret for text in texts for secret in address_secrets(text)))


def _warn_of_process_list(flag: str, variable: str) -> None:
    """Say that everybody on this machine can read what was given as a flag."""
    sys.stderr.write(f"ashare: {flag}: every user of this machine sees it in the list of processes: use {variable}\n")


TESTING = {"ASHARE_TEST_CLOCK_OFFSET_S"}
"""Read for tests alone, and so no settings: seconds that the producer's clock is off (``producer/clock.py``)."""


def known_variables() -> set[str]:
    """Every environment variable that some setting reads."""
    return {s.env for s in _DECLARED} | {f"{s.env}_FILE" for s in _DECLARED if s.secret} | TESTING


def check_environment(environment: Mapping[str, str]) -> None:
    """Refuse an ``ASHARE_*`` variable that nothing reads: a misspelt setting would be silently ignored.

    Raises:
        UsageError: names the variable and the nearest one that exists.
    """
    known = known_variables()
    for variable in sorted(environment):
        if variable.startswith(PREFIX) and variable not in known:
            near = difflib.get_close_matches(variable, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "`ashare config` lists the settings"
            raise UsageError(f"{variable} is set, but no setting has that name: {hint}")
