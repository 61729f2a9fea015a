"""The other workers of a group, as this one asks them for snapshots: known by what they say in Kafka, so not trusted.

A member's ``--web-url`` reaches the others through the group's metadata, which whoever can join the group can write.
With a shared secret, a member proves that it knows it by a mark in its address, and no other address is asked; without
one, only addresses of this machine are. What a peer answers is bounded, read as snapshots, and only those it was asked
for are passed on. No redirect is followed, and the secret never leaves the process.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

import aiohttp
import msgspec
import orjson

from broker.http_access import bearer, client_tls, is_loopback
from schemas import Record, Snapshot, UsageError
from schemas.addresses import shown_address
from schemas.topics import SNAPSHOTS, partition_of, topics

HOP = "X-Ashare-Hop"
"""Set on a request from another worker: answer from memory or not at all, never route again."""
MAX_ANSWER = 64 << 20
"""Bytes of a peer's answer: 50,000 snapshots are some 30 MB."""
_TIMEOUT = aiohttp.ClientTimeout(total=5.0)
_MARK = "/~"
SETTING = "give all workers of the group one --peer-secret (ASHARE_PEER_SECRET_FILE)"


class PeerError(Exception):
    """A peer that is not asked, or whose answer is not taken; the text says why."""


class ServedSnapshot(Snapshot, frozen=True):
    """A snapshot as HTTP answers it; ``age_ms`` is how long ago it was last known to hold all that the log held."""

    age_ms: int | None = None


class _Answer(Record, frozen=True):
    snapshots: list[ServedSnapshot]


_decoder = msgspec.json.Decoder(_Answer)


def announced(url: str, secret: str | None) -> str:
    """A worker's address as the others are told it: with the proof that it knows the secret."""
    root = url.rstrip("/")
    return f"{root}{_MARK}{_proof(root, secret)}" if secret else root


def check_own(url: str) -> None:
    """Refuse an address of this worker that no other would ask.

    Raises:
        UsageError: it is not HTTP's root on a host; what else it holds would be told to the whole group, by Kafka.
    """
    try:
        plain = _plain(url.rstrip("/"))
    except ValueError:
        plain = False
    if not plain:
        raise UsageError(
            f"--web-url {shown_address(url)!r} is not a worker's address: give http://HOST:PORT and no more"
        )


def checked(url: str, secret: str | None) -> str:
    """The root of a peer's HTTP, from the address that it announced.

    Raises:
        PeerError: it is not one that may be asked.
    """
    root, _, proof = url.partition(_MARK)
    root = root.rstrip("/")
    try:
        plain, host = _plain(root), urlsplit(root).hostname or ""
    except ValueError:
        raise PeerError(
            f"a member of the group announces {shown_address(url)[:200]!r}, which is not an address"
        ) from None
    if not plain:
        raise PeerError(
            f"a member of the group announces {shown_address(url)[:200]!r}, which is not a worker's address"
        )
    if secret is not None:
        if not hmac.compare_digest(proof.encode(), _proof(root, secret).encode()):
            raise PeerError(f"the member at {root[:200]} does not know this worker's peer secret: {SETTING}")
    elif not is_loopback(host):
        raise PeerError(f"the member at {root[:200]} is on another machine, and no secret is shared: {SETTING}")
    return root


def _plain(root: str) -> bool:
    """Whether it is HTTP's root on a host, without user, path or query; raises ValueError where it can't be read."""
    parts = urlsplit(root)
    _port = parts.port
    return (
        parts.scheme in {"http", "https"}
        and bool(parts.hostname)
        and not {"@", "?", "#"} & set(root)
        and not parts.path
    )


def _proof(root: str, secret: str) -> str:
    return hmac.new(secret.encode(), b"ashare-peer " + root.encode(), hashlib.sha256).hexdigest()


class Peers:
    """Asks other workers."""

    def __init__(self, secret: str | None, *, token: str | None = None, ca: str | None = None) -> None:
        """Nothing connects yet.

        Args:
            token: of the workers' HTTP, which they share; only members who know the secret are sent it.
            ca: authorities of their certificates, besides the system's.

        Raises:
            UsageError: the file of the authorities can't be read.
        """
        self._secret = secret
        self._headers = {HOP: "1", "Content-Type": "application/json", **bearer(token)}
        self._tls = client_tls(ca)
        self._session: aiohttp.ClientSession | None = None

    async def snapshots(self, url: str, codes: Sequence[str]) -> dict[str, ServedSnapshot]:
        """The snapshots of codes that a peer owns; codes that it has not seen are left out.

        Raises:
            PeerError: it is not asked, does not answer, or does not own them all.
        """
        wanted = frozenset(codes)
        found = await self._ask(url, {"codes": list(codes)})
        return {snapshot.code: snapshot for snapshot in found if snapshot.code in wanted}

    async def partitions(self, url: str, partitions: Collection[int]) -> dict[str, ServedSnapshot]:
        """All snapshots of partitions that a peer owns.

        Raises:
            PeerError: it is not asked, does not answer, or does not own them all.
        """
        count = topics()[SNAPSHOTS].partitions
        found = await self._ask(url, {"partitions": sorted(partitions)})
        return {snapshot.code: snapshot for snapshot in found if partition_of(snapshot.code, count) in partitions}

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _ask(self, url: str, what: dict[str, object]) -> list[ServedSnapshot]:
        root = checked(url, self._secret)
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=_TIMEOUT,
                cookie_jar=aiohttp.DummyCookieJar(),
                connector=aiohttp.TCPConnector(ssl=self._tls),
            )
        try:
            async with self._session.post(
                f"{root}/snapshots",
                data=orjson.dumps(what),
                headers=self._headers,
                allow_redirects=False,
            ) as response:
                if response.status != 200:
                    raise PeerError(f"the worker at {root} answers {response.status}")
                body = await _bounded(response, root)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise PeerError(f"the worker at {root} does not answer: {error!r}") from error
        try:
            return _decoder.decode(body).snapshots
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise PeerError(f"what answers at {root} is not a worker of this group") from error


async def _bounded(response: aiohttp.ClientResponse, root: str) -> bytes:
    body = bytearray()
    async for part in response.content.iter_chunked(1 << 16):
        body += part
        if len(body) > MAX_ANSWER:
            raise PeerError(f"the worker at {root} answers more than {MAX_ANSWER >> 20} MB")
    return bytes(body)
