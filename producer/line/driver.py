"""One upstream connection and its whole life: dial, subscribe, read, watch, lose, say what was missed, dial again."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
from collections import Counter
from collections.abc import Coroutine, Sequence
from typing import Any, Literal, TypeVar

from websockets.exceptions import ConnectionClosed

from market.times import trading_date
from producer.clock import now
from producer.feeds.decoded import Answer, FeedTick, Packet
from producer.feeds.guard import Guard
from producer.gaps.outage import Absence, Kicks, ShutDoors
from producer.gaps.silence import Silence, trading_stretch, until_trading
from producer.gaps.summary import Holes, Refusals
from producer.gaps.volume import CumulativeVolumes, PacketNumbers, merged
from producer.line.backoff import Backoff
from producer.line.connection import MAX_MESSAGE_BYTES, FrameConnection
from producer.line.endpoint import Upstream
from producer.line.heartbeat import End, Pace, Speaker, clock
from producer.line.readability import Doubts
from producer.line.redirects import Dial
from producer.line.retry import LONGEST_WAIT, RefusedAgainError, after_closing, after_dialling, token_refused
from producer.line.subscription import Subscription
from producer.line.tasks import Attended
from producer.pipeline.events import Outlet
from producer.pipeline.publish import SLICE
from schemas import UsageError

log = logging.getLogger(__name__)

T = TypeVar("T")

OPEN_SECONDS = 10.0
CLOSE_SECONDS = 2.0
LOGIN_SECONDS = 10.0
ANSWER_SECONDS = 5.0
"""After a refusal, with neither an acknowledgement nor a tick for so long, nothing will come. Where not every request
was answered, or none ever is, ticks are expected from then on."""
OUTRUN_SECONDS = 3.0
"""Another line of the same codes has brought ticks for so long, and this one none: at any time of the day."""
LOOK_SECONDS = 0.2
UNSEEN_SECONDS = 300.0
"""A line that ran for less of a session says nothing of codes that it has not seen."""
LIVED_SECONDS = 5.0
"""A connection on which ticks still come so long after it stood has succeeded; a cached one after the subscription says
nothing, and neither does a handshake."""
QUIET_SECONDS = 60.0
"""One that was subscribed for so long has, whether ticks came or not."""
SESSION_DELAY = 5.0
"""Longest pause between two attempts while ticks can come, unless the server asks for more."""
_TRADES_SECONDS = 600.0
"""Whatever the clock says, the market of a feed trades if it brought ticks so recently."""
YIELD_SECONDS = 0.05
"""Frames that can't be read may come by the hundred thousand: the other tasks have their turn after so long."""
_SAID = 20  # lines of the log for each kind of answer on a connection
_ON_THE_WAY = 1_000_000
"""µs. With a connection is lost what was under way to it: since its last tick, or for so long before its last byte."""
_RESTARTS = frozenset({1001, 1012, 1013})  # going away, restart, try again later: no other login closes with these

State = Literal["starting", "connecting", "connected", "subscribed", "waiting", "idle", "stopped"]


class Line:
    """Keeps one subscription alive until it is told to stop."""

    def __init__(
        self,
        upstream: Upstream,
        codes: Sequence[str] | None,
        outlet: Outlet,
        pace: Pace,
        *,
        name: str = "",
        own_clock: bool = False,
    ) -> None:
        """A line that feeds ``outlet``.

        Args:
            codes: to subscribe, ``None`` for the whole market; ``want`` changes them.
            name: of this connection, for the log and the events.
            own_clock: the feed's times are another clock's, and nobody need be told.

        Raises:
            UsageError: it can't be dialled, or asked for the codes.
        """
        able = upstream.feed.capabilities
        self.name = name
        self.state: State = "starting"
        self.problem: str | None = None
        """What went wrong last, or ended the line; ``None`` while all is well."""
        self.subscription = Subscription(
            upstream.feed, None if codes is None else tuple(codes), able.changes, able.acknowledgement
        )
        self.packets = PacketNumbers() if able.sequence == "packet" else None
        self.volumes = CumulativeVolumes() if able.volume_is == "cumulative" else None
        self._upstream = upstream
        self._able = able
        self._outlet = outlet
        self._pace = pace
        self._address = upstream.aim(codes)
        self._absence = Absence()
        self._kicks = Kicks()
        self._doors = ShutDoors()
        self._silence = Silence(None if codes is None else len(codes), now=clock(), abroad=able.abroad)
        self.doubts = Doubts(
            upstream.feed.guard,
            self._silence.clock,
            outlet,
            name=name,
            own_clock=own_clock,
            scrub=self._scrub,
        )
        self._changed = asyncio.Event()
        self._worked = False
        """A handshake succeeded in this run."""
        self._ever_subscribed = False
        self._ticked_when = -_TRADES_SECONDS
        """When ticks came last, on any connection, in seconds that only rise."""
        self._refusals_again = Backoff(1.0, 60.0)
        """Pauses between attempts that are refused as if for good, after some that were not."""
        self._stretch: Any = None
        self._stretch_since = 0.0
        self._day = ""
        self.check(codes)
        self._begin()

    def _begin(self) -> None:
        """What is known of a connection that is new."""
        self._upstream.feed.reset()
        self.subscription.opened()
        if self.packets is not None:
            self.packets.reset()
        self._speaker = Speaker(
            self._upstream.feed, self.subscription, self._pace, self._upstream.greeting(), changed=self._list_changed
        )
        self._end: End | Exception | None = None
        self._opened = clock()
        self._heard = False
        self._flowing = self._lived = False
        self._ticked_at = self._confirmed_at = 0
        self._taking_since: float | None = None
        self._relisting = False
        self._relisted_at: float | None = None
        self._refusal: str | None = None
        self._refused_at = 0.0
        self._holes, self._refusals = Holes(), Refusals()
        self._answers: Counter[str] = Counter()
        self._kicked = False
        self._wait = 0.0
        self._silence.subscribed(self._watched, self._opened)

    @property
    def guard(self) -> Guard:
        """What of the line's frames could not be read."""
        return self._upstream.feed.guard

    def want(self, codes: Sequence[str] | None) -> None:
        """Subscribe these instead, without a new connection where the feed allows it."""
        wanted = None if codes is None else tuple(codes)
        if wanted != self.subscription.wanted:
            self.subscription.want(wanted)
            self._absence.keep(wanted)
            self._changed.set()
            self._speaker.wake()

    def check(self, codes: Sequence[str] | None) -> None:
        """Find out whether the feed can be asked for these codes. Nothing is sent.

        Raises:
            UsageError: it can't; the text names the code.
        """
        if codes is None or codes:
            self._upstream.aim(codes)
            copy.copy(self._upstream.feed).subscribe(codes)  # of the line's own, the requests are counted

    async def run(self, stop: asyncio.Event) -> None:
        """Stay connected until ``stop`` is set; then everything that came off the socket has been taken in.

        Raises:
            UsageError: the feed refuses what it is asked in a way that no further attempt changes.
        """
        self._outlet.say("started")
        reason = "told to stop"
        try:
            while not stop.is_set():
                if self.subscription.wanted == ():
                    await self._idle(stop)
                    continue
                asked = await self._live(stop)
                if not stop.is_set():
                    await self._rest(asked, stop)
        except asyncio.CancelledError:
            reason = "cut short"
            self._outlet.say(
                "overflow",
                reason="frames that had come were given up, as the stop could not wait for Kafka",
                detected="overflow",
            )
            raise
        except BaseException as error:
            reason = self.problem = self._said(error)
            raise
        finally:
            self.state = "stopped"
            self._never_seen()
            self.doubts.finish()
            self._outlet.down(now(), reason, ending=stop.is_set())
            self._outlet.say("stopped", reason=reason)

    async def _idle(self, stop: asyncio.Event) -> None:
        """No code is on this line: nothing to connect for, until there is."""
        self.state = "idle"
        self._changed.clear()
        await _unless(stop, self._changed.wait())

    async def _live(self, stop: asyncio.Event) -> float:
        """One connection from dialling to its end; gives the seconds to wait at least before the next."""
        self.state = "connecting"
        self._begin()
        self._address = self._upstream.aim(self.subscription.wanted)
        await _unless(stop, self._outlet.send([], now()))  # what another connection would say waits for room as well
        if stop.is_set():
            return 0.0
        try:
            connection = await _unless(stop, self._dial())
        except UsageError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a server makes of a handshake, the next may be better
            return self._not_dialled(error)
        if connection is None:
            return 0.0
        if self._worked:
            self._outlet.reconnected()
        self._worked = True
        self.state = "connected"
        self._opened = clock()
        log.info("%sconnected to %s", self._prefix, self._address.shown)
        self._outlet.say("connected", reason=self._address.shown)
        beside = {
            "closing": self._close_at(stop, connection),
            "speaking": self._speak(connection),
            "watching": self._watch(connection),
        }
        attended = Attended(connection, self._read(connection), beside)
        try:
            fault = await attended.ended(self._failed)
            self._tell_covered()
            if attended.cut_short:
                reason = f"frames that had come were given up: {self.problem}"
                self._outlet.say("overflow", reason=reason, detected="overflow")
            if fault is not None or not stop.is_set():
                self._lost(connection)
        except RefusedAgainError as refusal:
            self._wait = max(self._wait, self._refused_again(refusal))
        finally:
            await attended.cease()
            self._tell_covered()
        return self._wait

    def _failed(self, fault: Exception) -> None:
        """A task of the connection has ended, and the line ends with it."""
        self._end = fault
        self.problem = self._said(fault)
        log.error("%sa task of the line has ended: %s", self._prefix, self.problem)

    def _not_dialled(self, error: Exception) -> float:
        """Say why no connection came about; gives the seconds to wait at least before the next attempt.

        Raises:
            UsageError: no attempt will help.
        """
        try:
            asked = after_dialling(error, self._address, worked=self._worked)
        except RefusedAgainError as refusal:
            return self._refused_again(refusal)
        self.problem = self._said(error)
        log.warning("%sno connection to %s: %s", self._prefix, self._address.shown, self.problem)
        return asked

    def _refused_again(self, refusal: RefusedAgainError) -> float:
        """Say, as loudly as a line can, that what was taken before is refused; gives the seconds to wait."""
        pause = self._refusals_again.next()
        self.problem = str(refusal)
        log.error("%s%s. It worked before in this run: the next attempt is in %.1f s", self._prefix, refusal, pause)
        self._outlet.say("refused", reason=f"{refusal}; it worked before in this run, and is tried again")
        return pause

    async def _dial(self) -> FrameConnection:
        for bucket in self._pace.dials:
            await asyncio.sleep(bucket.book(clock()))
        connection = await Dial(
            self._address.url,
            additional_headers=self._upstream.headers(),
            proxy=None,
            compression=None,
            max_size=MAX_MESSAGE_BYTES,
            open_timeout=OPEN_SECONDS,
            close_timeout=CLOSE_SECONDS,
            ping_interval=None,  # the speaker pings, since providers count pings as well, and judges who is to blame
            ping_timeout=None,
            create_connection=FrameConnection,
        )
        assert isinstance(connection, FrameConnection)
        return connection

    async def _read(self, connection: FrameConnection) -> None:
        """Take in frames until the connection ends; ticks that came in one read of the socket go together."""
        read = self._outlet.read
        while True:
            frames = await connection.frames()
            self.doubts.frames += len(frames)
            self._heard = True
            ticks: list[FeedTick] = []
            received = 0
            since = clock()
            for frame in frames:
                decoded = read(frame)
                # What a frame brings besides ticks waits for room as they do.
                alone = decoded.packet is not None or decoded.answers or decoded.letters
                if ticks and (alone or frame.received != received or len(ticks) > SLICE):
                    await self._take(ticks, received)
                    ticks = []
                received = frame.received
                if alone:
                    await self._take(decoded.ticks, received, decoded.packet, decoded.answers)
                    if (decoded.letters or decoded.answers) and clock() - since > YIELD_SECONDS:
                        await asyncio.sleep(0)
                        since = clock()
                else:
                    ticks += decoded.ticks
            if ticks:
                await self._take(ticks, received)

    async def _take(
        self, ticks: list[FeedTick], received: int, packet: Packet | None = None, answers: Sequence[Answer] = ()
    ) -> None:
        before = self._outlet.n
        self._taking_since = at = clock()
        await self._outlet.send(ticks, received)
        self._taking_since = None
        for answer in answers:
            self._answered(answer)
        if packet is not None or ticks:
            self._ticked(ticks, packet, received, before, at)

    def _ticked(self, ticks: list[FeedTick], packet: Packet | None, received: int, before: int, at: float) -> None:
        if self.packets is not None or self.volumes is not None:
            self._count(ticks, packet, received, before)
        if not ticks:
            return
        self._ticked_at = received
        self._ticked_when = at
        subscription = self.subscription
        if subscription.unseen:
            subscription.saw(ticks)
        self._silence.heard(ticks, received // 1000, at)
        self._flowing = True
        if not self._lived and at - self._opened >= LIVED_SECONDS:
            self._succeeded()
        if not subscription.confirmed and self._speaker.asked_at is not None and self._speaker.idle:
            # Of several requests, ticks show that one was taken; the others show it by their answers, or with time.
            one_of_one = subscription.first <= 1 or subscription.answered_in_full
            if one_of_one:
                self._confirm(before, "ticks arrive")

    def _count(self, ticks: list[FeedTick], packet: Packet | None, received: int, before: int) -> None:
        """Announce what the stream's own figures say is missing."""
        holes = []
        if self.packets is not None and packet is not None:
            hole = self.packets.came(packet.number, received, packet.channel)
            holes += [hole] if hole else []
        if self.volumes is not None:
            holes += self.volumes.came(ticks, received)
        for hole in merged(holes):
            if self._holes.by_itself(hole, before, clock()):
                self._outlet.gap(hole, before)

    def _tell_covered(self, at: float | None = None) -> None:
        """Announce what was too much to be told one by one: all of it, or what is due at a time."""
        covering = self._holes.covering(at)
        if covering is not None:
            self._outlet.gap(*covering)
        refused = self._refusals.covering(at)
        if refused is not None:
            reason, codes, count = refused
            log.error("%s%s", self._prefix, reason)
            self._outlet.say("refused", reason=reason, codes=codes, count=count)

    def _succeeded(self) -> None:
        """The connection has lived: the next failure is the first of its kind."""
        self._lived = True
        self._pace.backoff.reset()
        self._refusals_again.reset()

    async def _speak(self, connection: FrameConnection) -> None:
        end = await self._speaker.run(connection)
        if end is not None:
            await self._give_up(connection, end)

    def _list_changed(self) -> None:
        """Requests for another list have been queued on this connection."""
        subscription = self.subscription
        self._silence.subscribed(self._watched, clock())
        log.info("%sthe list of codes changed", self._prefix)
        self._relisting, self._relisted_at = subscription.confirmed, None

    async def _follow_list(self, at: float) -> None:
        """Announce another list when it is in force: all requests for it have gone, and are answered or never will be.

        Under a bucket they may take a while, in which a code that comes is not yet delivered.
        """
        if not self._relisting or not self._speaker.idle:
            return
        if self._relisted_at is None:
            self._relisted_at = at
        if self.subscription.answered_in_full or at - self._relisted_at > ANSWER_SECONDS:
            await self._outlet.send([], now())
            self._relisting = False
            codes = self.subscription.concerned()
            self._outlet.say("subscribed", reason="the list of codes changed", codes=codes)

    @property
    def _watched(self) -> int | None:
        wanted = self.subscription.wanted
        return None if wanted is None or self.subscription.everything else len(wanted)

    def _answered(self, answer: Answer) -> None:
        text = self._address.scrub(answer.text)
        self._answers[answer.kind] += 1
        if self._answers[answer.kind] == _SAID:
            log.warning("%smore answers of the kind %r on this connection are not logged", self._prefix, answer.kind)
        said = logging.NOTSET if self._answers[answer.kind] > _SAID else logging.WARNING
        match answer.kind:
            case "subscribed":
                self._acknowledged(answer)
            case "refused":
                self._refuse(answer, text)
            case "logged_in":
                self._speaker.logged_in = True
                self._speaker.wake()
            case "unauthorised":
                fault = token_refused(self._address, text)
                self._end = self._end or (RefusedAgainError(str(fault)) if self._ever_subscribed else fault)
            case "kicked":
                self._kicked = True
                log.log(said, "%sanother login takes this connection over: %s", self._prefix, text)
            case "throttled":
                log.log(said, "%sthe feed is throttling: %s", self._prefix, text)
                wait = min(answer.wait or 0.0, LONGEST_WAIT)
                self._wait = max(self._wait, wait)
                self._speaker.hold(wait)
            case "closing":
                log.log(said, "%sthe feed is about to close: %s", self._prefix, text)
            case _:
                log.debug("the feed says: %s", text)

    def _acknowledged(self, answer: Answer) -> None:
        subscription = self.subscription
        self._outlet.filters(answer.trades_only)
        subscription.answered(answer)
        lacking = subscription.missing(answer) if answer.whole else []
        if lacking:
            text = f"{len(lacking):,} codes are not among those that the feed says it has taken"
            self._tell_refusal(text, lacking)
        if subscription.answered_in_full and self._speaker.idle:
            self._confirm(self._outlet.n, "acknowledged")

    def _refuse(self, answer: Answer, text: str) -> None:
        if self._refusal is None:
            self._refused_at = clock()
        self._refusal = self.problem = text
        self.subscription.answered(answer)
        self._tell_refusal(text, answer.codes or None)

    def _tell_refusal(self, text: str, codes: Sequence[str] | None) -> None:
        if self._refusals.by_itself(text, codes, clock()):
            log.error("%sthe feed refuses: %s", self._prefix, text)
            self._outlet.say("refused", reason=text, codes=None if codes is None else list(codes))

    def _confirm(self, n: int, how: str) -> None:
        """Ticks can be expected from now on; an open gap ends here."""
        subscription = self.subscription
        if subscription.confirmed:
            return
        subscription.confirmed = True
        self.state, self.problem = "subscribed", None
        self._confirmed_at = now()
        self._silence.subscribed(self._watched, clock())
        again, self._ever_subscribed = self._ever_subscribed, True
        log.info("%s%s (%s)", self._prefix, "resubscribed" if again else "subscribed", how)
        self._outlet.up(subscription.concerned())
        self._outlet.say("resubscribed" if again else "subscribed", n=n, reason=how, codes=subscription.concerned())
        hole = self._absence.end(self._confirmed_at, None if subscription.everything else subscription.wanted)
        if hole is not None:
            self._outlet.gap(hole, n)

    async def _watch(self, connection: FrameConnection) -> None:
        """End a connection that waits in vain: for its login, for its subscription, for ticks in trading hours."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            end = self._end or self._overdue(clock())
            if end is not None:
                await self._give_up(connection, end)
                return
            await self._follow_list(clock())
            self._follow_session()
            self._tell_covered(clock())
            self.doubts.look(clock())

    def _overdue(self, at: float) -> End | Exception | None:
        """Why it is time to end the connection, if it is."""
        subscription, speaker = self.subscription, self._speaker
        if not speaker.logged_in and at - self._opened > LOGIN_SECONDS:
            return End(f"the login was not answered in {LOGIN_SECONDS:g} s")
        if self._taking_since is not None and at - self._taking_since > LOOK_SECONDS:
            self._silence.subscribed(self._watched, at)  # it is Kafka that is waited for
        if subscription.confirmed:
            return self._outrun() or self._silent(at)
        if self._refusal is not None:
            if at - self._refused_at <= ANSWER_SECONDS:
                return None
            return End(f"the feed refuses: {self._refusal}") if self._ever_subscribed else self._refused()
        expected = self._flowing or subscription.acknowledgement == "none"
        if expected and speaker.idle and speaker.asked_at is not None and at - speaker.asked_at > ANSWER_SECONDS:
            self._confirm(self._outlet.n, "nothing was said against it")
            return None
        return self._silent(at)

    def _outrun(self) -> End | None:
        behind = self._outlet.behind()
        if behind < OUTRUN_SECONDS:
            return None
        since = max(self._ticked_at, self._confirmed_at)
        return End(f"nothing for {behind:.0f} s of what another line brings", "silence", since)

    def _silent(self, at: float) -> End | None:
        silent = self._silence.verdict(_wall(), at)
        if silent is None:
            return None
        self._silence.gave_up()
        since = now() - int(silent.seconds * 1e6) if silent.board else max(self._ticked_at, self._confirmed_at)
        return End(str(silent), "silence", since)

    async def _give_up(self, connection: FrameConnection, end: End | Exception) -> None:
        self._end = self._end or end
        await connection.close(reason="given up")

    def _lost(self, connection: FrameConnection) -> None:
        """Say that the connection ended, and remember since when nothing is known.

        Raises:
            UsageError: it ended in a way that no further attempt changes.
            RefusedAgainError: it did, but what it refuses worked before.
            Exception: a task of the line failed.
        """
        closed = connection.close_exc
        end, lived = self._end, clock() - self._opened
        if self.subscription.confirmed and lived >= QUIET_SECONDS:
            self._succeeded()
        heard = now() - int((asyncio.get_running_loop().time() - connection.heard) * 1e6)
        since = max(self._ticked_at, heard - _ON_THE_WAY)
        if isinstance(end, End):
            reason, detected, since = end.reason, end.detected, end.since or since
        else:
            reason, detected = connection.fault or self._said(end or closed), "disconnect"
        if self.subscription.confirmed:
            self._absence.begin(since, self.subscription.concerned(), detected, reason)
            self._absence.keep(self.subscription.wanted)
        self._outlet.down(since, reason, detected)
        self.problem = reason
        log.warning("%sconnection to %s lost: %s", self._prefix, self._address.shown, reason)
        self._outlet.say("disconnected", reason=reason, start=since if self.subscription.confirmed else None)
        if isinstance(end, Exception):
            raise end
        self._judge(closed, lived)
        if self._refusal is not None and not self._ever_subscribed:
            raise self._refused()

    def _judge(self, closed: ConnectionClosed, lived: float) -> None:
        """Tell an end that another attempt mends from one that only the user can.

        Raises:
            UsageError: it is the user's; the text says what to change.
        """
        if self._end is None:
            after_closing(
                closed,
                self._address,
                subscribed=self.subscription.confirmed,
                worked=self._ever_subscribed,
                final=self._able.final_closes,
            )
        if not self._kicked_out(closed):
            self._kicks.stayed()
        elif self._kicks.kicked(lived):
            raise UsageError(
                f"another login took over the connection to {self._address.shown} again and again:"
                " two producers on one token? Stop one of them, or give each a token of its own"
            )
        speechless = "close" in self._able.token_refused and not self._heard and self._end is None
        if not self._ever_subscribed and self._doors.shut(clock(), speechless=speechless):
            raise token_refused(self._address, "it closes every connection without a word")

    def _kicked_out(self, closed: ConnectionClosed) -> bool:
        """Whether another login ended the connection, by what the feed said or, where it says nothing, by closing."""
        said = closed.rcvd
        silently = self._able.second_login == "kicks the first" and self.subscription.confirmed and self._end is None
        return self._kicked or (silently and said is not None and said.code not in _RESTARTS)

    def _follow_session(self) -> None:
        """Count the codes that were not seen, stretch of trading by stretch of trading."""
        at = self._silence.clock.at(_wall())
        stretch, day = trading_stretch(at), trading_date(at)
        if stretch != self._stretch:
            self._never_seen()
            # With the end, not with the beginning: its first ticks may have come before it was looked at.
            if self._stretch is not None:
                self.subscription.new_session()
            self._stretch, self._stretch_since = stretch, clock()
        if day != self._day:
            if self._day and stretch is None:
                self.subscription.new_session()  # what came after hours says nothing of the next day
            self._day = day

    def _never_seen(self) -> None:
        """Announce the codes asked for of which no tick came in the stretch of trading that ends."""
        unseen = sorted(self.subscription.unseen)
        if self._stretch is None or not unseen or clock() - self._stretch_since < UNSEEN_SECONDS:
            return
        log.warning("%s%d codes were asked for and not seen in this session", self._prefix, len(unseen))
        self._outlet.say("never_seen", reason="asked for, and not one tick in this session", codes=unseen)

    async def _rest(self, asked: float, stop: asyncio.Event) -> None:
        self.state = "waiting"
        delay = self._pace.backoff.next(asked, self._longest_pause())
        log.info("%snext attempt in %.1f s", self._prefix, delay)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), delay)

    def _longest_pause(self) -> float:
        """Seconds: in trading hours little is waited, and into them no more."""
        if clock() - self._ticked_when < _TRADES_SECONDS:
            return SESSION_DELAY
        return SESSION_DELAY + until_trading(self._silence.clock.at(_wall()))

    def _refused(self) -> UsageError:
        return UsageError(
            f"the feed at {self._address.shown} refused the subscription: {self._refusal}: check --symbols and --token"
        )

    def _scrub(self, text: str) -> str:
        """Somebody else's text without the secrets of the address that is dialled now."""
        return self._address.scrub(text)

    def _said(self, error: BaseException) -> str:
        text = str(error) or type(error).__name__
        return text if isinstance(error, UsageError) else self._address.scrub(text)  # our own texts hold no secret

    @property
    def _prefix(self) -> str:
        return f"{self.name}: " if self.name else ""

    @staticmethod
    async def _close_at(stop: asyncio.Event, connection: FrameConnection) -> None:
        """Begin the closing handshake; what the server sent before it ends is still read."""
        await stop.wait()
        await connection.close()


def _wall() -> int:
    """Local time, ms since the epoch."""
    return now() // 1000


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """The result of the work, or ``None`` where ``stop`` came first and the work was given up."""
    task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        if not task.done():
            task.cancel()
        await asyncio.gather(task, stopped, return_exceptions=True)
    return None if task.cancelled() else task.result()
