"""From the options to what runs: which feed, which codes on how many lines, under which ids."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from market import kinds
from market.codes import Kind, UnknownCode
from producer.feeds import provider
from producer.feeds.provider import Options, Provider
from producer.feeds.units import units_of
from producer.line import address
from producer.line.endpoint import Endpoint
from producer.watchlist import file as watchlist
from producer.watchlist import symbols
from producer.watchlist.dealing import lines_needed
from schemas import UsageError

log = logging.getLogger(__name__)

DEFAULT_SOURCE = "post-1"
QUALITIES = ("mark", "quarantine", "off")
_SOURCE = re.compile(r"[A-Za-z0-9._-]{1,60}")
_EVERYTHING = "*"


@dataclass(frozen=True)
class ProducerOptions:
    """The options of ``ashare produce``; the settings of the same names document each."""

    bootstrap: str
    url: str | None = None
    feed: str = "post"
    symbols: str = "*"
    watchlist: str | None = None
    lines: int | None = None
    arbitrate: bool = False
    second_feed: str | None = None
    second_url: str | None = None
    token: str | None = field(default=None, repr=False)
    second_token: str | None = field(default=None, repr=False)
    source: str = DEFAULT_SOURCE
    trades_only: bool = False
    foreign: bool = False
    kinds: str = "a-share"
    quality: str = "mark"
    own_clock: bool = False
    volume_unit: str | None = None
    turnover: str | None = None
    time_unit: str | None = None
    heartbeat: float = 20.0
    heartbeat_message: str | None = None
    http_port: int | None = None
    http_token: str | None = field(default=None, repr=False)
    first_delay: float = 0.5
    longest_delay: float = 60.0


@dataclass(frozen=True)
class FeedChoice:
    """One feed as the options name it: which provider, how it is read, where it is dialled."""

    provider: Provider
    options: Options
    url: str
    token: str | None = field(default=None, repr=False)

    @property
    def account(self) -> tuple[str, str | None]:
        """What a provider counts connections by."""
        return self.provider.name, self.token

    def endpoint(self) -> Endpoint:
        """The far end of one line."""
        return Endpoint(self.provider.make(self.options), self.url, self.token)


@dataclass(frozen=True)
class Plan:
    """What runs.

    Attributes:
        feeds: what the lines of a group dial: one, or two whose streams become one.
        codes: to subscribe, ``None`` for the whole market.
        file: the watchlist that is watched, if any.
        sources: the line id of each group.
        kinds: of instruments that go through, besides what ``foreign`` lets through.
    """

    feeds: Sequence[FeedChoice]
    codes: list[str] | None
    file: Path | None
    sources: Sequence[str]
    kinds: frozenset[Kind] = kinds.DEFAULT

    @property
    def most(self) -> int | None:
        """Codes that every line of a group can carry; ``None`` for any number."""
        return _most([feed.provider for feed in self.feeds])


def plan(options: ProducerOptions) -> Plan:
    """Check the options and settle what they leave open.

    Raises:
        UsageError: one is wrong; the text names it and the fix.
    """
    if not _SOURCE.fullmatch(options.source):
        raise UsageError(f"--source {options.source!r}: 1 to 60 of letters, digits, dot, dash and underscore")
    if options.heartbeat < 0:
        raise UsageError("--heartbeat is a number of seconds, or 0 for none")
    if options.quality not in QUALITIES:
        raise UsageError(f"--quality {options.quality!r} is none of: {', '.join(QUALITIES)}")
    if options.lines is not None and options.lines < 1:
        raise UsageError("--lines is a number of connections, from 1")
    wanted = kinds.parse(options.kinds)
    given, file = _codes(options)
    spelling = _spelling(given)
    _check_kinds(options, spelling, wanted, whole=symbols.codes(given) is None)
    chosen = _chosen(options, as_string=isinstance(given, str), spelling=spelling)
    feeds = [choice.provider for choice in chosen]
    _check_settings(options, feeds)
    codes = _spelt(given, feeds, spelling)
    return Plan(chosen, codes, file, _sources(options, _lines(options, feeds, codes)), wanted)


def _check_kinds(
    options: ProducerOptions, spelling: Mapping[str, str], wanted: frozenset[Kind], *, whole: bool
) -> None:
    """Refuse codes whose ticks would all be dead letters.

    Raises:
        UsageError: one is of a kind that is not asked for; the text names it and the fix.
    """
    if options.foreign:
        return
    if whole and Kind.A_SHARE not in wanted:
        raise UsageError(
            f"--kinds {options.kinds} with --symbols *: the whole market is A shares above all: name the codes, or add"
            f" --kinds {kinds.written(wanted | kinds.DEFAULT)}"
        )
    kinds.check(spelling, wanted)


def _check_settings(options: ProducerOptions, feeds: Sequence[Provider]) -> None:
    """Refuse what a feed would take and do nothing with.

    Raises:
        UsageError: such a setting; the text names the feed and the fix.
    """
    first = feeds[0]
    able = first.capabilities
    volume, turnover = "volume" in able.carries, "turnover" in able.carries
    if options.volume_unit is not None and not volume:
        raise UsageError(f"--volume-unit: {first.name} carries no volume: leave it out")
    if options.volume_unit is not None and "=" in options.volume_unit and able.abroad:
        raise UsageError(f"--volume-unit {options.volume_unit}: {first.name} has no A shares, and so no boards")
    if options.turnover == "carried" and not turnover:
        raise UsageError(f"--turnover carried: {first.name} carries none: write {'computed or ' if volume else ''}none")
    if options.turnover == "computed" and not volume:
        raise UsageError(f"--turnover computed: {first.name} carries no volume to compute it from: write none")
    for feed in feeds:
        if options.trades_only and "volume" not in feed.capabilities.carries:
            raise UsageError(f"--trades-only: {feed.name} carries no volume, and so shows no trades: leave it out")
    # A token may stand in the environment for other commands: that it goes nowhere is a warning, not an error.
    if options.token and able.login == "none":
        log.warning("--token: %s takes none, and gets none", first.name)
    if options.second_token and (len(feeds) < 2 or feeds[1].capabilities.login == "none"):
        log.warning("--second-token: %s, so it is not used", "no second feed" if len(feeds) < 2 else "it takes none")
    beats = options.heartbeat or able.heartbeat_seconds
    if options.heartbeat_message is not None and not beats:
        raise UsageError("--heartbeat-message is sent with every heartbeat: give --heartbeat a number of seconds")


def require_tokens(chosen: Sequence[FeedChoice]) -> None:
    """Refuse a provider without the token that it needs: its server would refuse every attempt.

    A server on this machine, as a simulator or a proxy, may need none; an address may have the key in it.

    Raises:
        UsageError: no token; the text names the provider and the setting.
    """
    for place, choice in enumerate(chosen):
        can = choice.provider.capabilities
        free = can.login == "none" or can.login_optional
        if free or choice.token or address.is_local(choice.url) or address.read(choice.url).secrets:
            continue
        variable = "ASHARE_SECOND_FEED_TOKEN" if place else "ASHARE_FEED_TOKEN"
        raise UsageError(
            f"{choice.provider.name} needs a token: write it into a file, and name the file in {variable}_FILE"
        )


def _spelling(given: str | list[str]) -> dict[str, str]:
    """How each code was given, by its one form; of what has none, as it is."""
    spelt: dict[str, str] = {}
    for code in symbols.codes(given) or ():
        try:
            spelt.setdefault(kinds.resolve(code), code)
        except UnknownCode:
            spelt.setdefault(code, code)
    return spelt


def _chosen(options: ProducerOptions, *, as_string: bool, spelling: Mapping[str, str]) -> list[FeedChoice]:
    """One, or two where their lines are to become one stream; the settings' units are those of the first feed.

    Raises:
        UsageError: a feed is not known, a unit is none, or the second connection would end the first.
    """
    feed = provider(options.feed)
    common = Options(
        foreign=options.foreign,
        kinds=kinds.parse(options.kinds),
        trades_only=options.trades_only,
        as_string=as_string,
        spelling=spelling,
    )
    declared = feed.capabilities.units
    first = FeedChoice(
        feed,
        replace(common, units=units_of(declared, options.volume_unit, options.turnover, options.time_unit)),
        options.url or feed.capabilities.url,
        options.token,
    )
    if not options.arbitrate and options.second_feed is None and options.second_url is None:
        return [first]
    other = provider(options.second_feed or options.feed)
    same = other.name == feed.name
    second = FeedChoice(
        other,
        first.options if same else common,
        options.second_url or (first.url if same else other.capabilities.url),
        options.second_token or (options.token if same else None),
    )
    once = (second.url, second.token) == (first.url, first.token)
    if same and once and feed.capabilities.second_login == "kicks the first":
        raise UsageError(
            f"--arbitrate: a second connection to {feed.name} ends the first: give --second-url another server,"
            " or --second-token another account"
        )
    return [first, second]


def _codes(options: ProducerOptions) -> tuple[str | list[str], Path | None]:
    """The codes as given: a text or a list; and the file that is watched."""
    if options.watchlist is None:
        if options.symbols.startswith("@"):
            return _some(watchlist.load(Path(options.symbols[1:])), options.symbols[1:]), None
        return symbols.read(options.symbols), None
    file = Path(options.watchlist)
    if file.exists():
        if options.symbols.strip() != _EVERYTHING:
            log.info("%s is there already: its codes are subscribed, not those of --symbols", file)
        return _some(watchlist.load(file), str(file)), file
    if options.symbols.strip() == _EVERYTHING:
        raise UsageError(
            f"there is no watchlist {file}: write codes into it, one a line, or give --symbols to begin with"
        )
    given = _codes(replace(options, watchlist=None))[0]
    listed = watchlist.codes([given] if isinstance(given, str) else given)
    watchlist.save(file, listed)
    return listed, file


def _some(codes: list[str], where: str) -> list[str]:
    if not codes:
        raise UsageError(f"{where} holds no code: write one a line")
    return codes


def _spelt(given: str | list[str], feeds: Sequence[Provider], spelling: Mapping[str, str]) -> list[str] | None:
    """The codes one by one, in the one form: feeds spell them for their servers.

    The post's servers may know codes that have none; those stay as they were given.

    Raises:
        UsageError: no code, or the whole market of a feed that does not have it on one connection.
    """
    codes = symbols.codes(given)
    if codes is not None and _EVERYTHING not in codes:
        if all(feed.name == "post" for feed in feeds):
            watchlist.codes(code for code in codes if code.isascii() and code.isdigit())
            return list(spelling)
        return watchlist.codes(_at_home(codes, feeds))
    for feed in feeds:
        if not feed.capabilities.wildcard:
            raise UsageError(
                f"{feed.name} has no wildcard: name the codes, with --symbols 600519,000001, --symbols @FILE"
                " or --watchlist FILE"
            )
    return codes


def _at_home(codes: list[str], feeds: Sequence[Provider]) -> list[str]:
    """Codes with the exchange that a feed abroad speaks of, where they were given as its symbols: ``BTCUSDT``."""
    homes = {feed.capabilities.home for feed in feeds}
    if len(homes) > 1 or not (home := homes.pop()):
        return codes
    return [f"{code}.{home}" if code.isalnum() and not code.isdigit() else code for code in codes]


def _most(feeds: Sequence[Provider]) -> int | None:
    limits = [feed.capabilities.codes_per_connection for feed in feeds]
    return min((limit for limit in limits if limit is not None), default=None)


def _lines(options: ProducerOptions, feeds: Sequence[Provider], codes: list[str] | None) -> int:
    """How many connections to each feed, each with codes of its own."""
    if codes is None or _EVERYTHING in codes:
        if (options.lines or 1) > 1:
            raise UsageError("--lines deals codes out, and * is not dealt: give codes, or --arbitrate for two lines")
        return 1
    most = _most(feeds)
    needed = lines_needed(len(codes), most)
    lines = options.lines or needed
    narrowest = min(feeds, key=lambda feed: feed.capabilities.codes_per_connection or len(codes))
    if lines < needed:
        raise UsageError(
            f"{len(codes):,} codes need {needed} connections, as {narrowest.name} takes {most:,} each:"
            f" give --lines {needed} if the plan allows as many, or fewer codes"
        )
    for feed in feeds:
        allowed = feed.capabilities.connections
        if allowed is None or lines <= allowed:
            continue
        if feed.capabilities.second_login == "kicks the first":
            raise UsageError(
                f"{len(codes):,} codes need {lines} connections, and {feed.name} ends one when a token opens another:"
                f" give {(most or len(codes)) * allowed:,} codes at most, the others to a producer with another token"
            )
        log.warning("%d connections: %s documents %d for a token", lines, feed.name, allowed)
    return lines


def _sources(options: ProducerOptions, lines: int) -> list[str]:
    """The line ids: as given for one line, and numbered for several. Without one given, named by the feed."""
    source = options.source
    if source == DEFAULT_SOURCE:
        source = f"{options.feed}-1"
    if lines == 1:
        return [source]
    stem = source.removesuffix("-1")
    return [f"{stem}-{number}" for number in range(1, lines + 1)]
