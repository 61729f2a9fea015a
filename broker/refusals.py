"""What a broker's refusal of a batch means: sent again it is taken, or somebody must mend something, or it never heals.

The codes are Kafka's, as a produce request may be answered with them. A code that is not in the table is taken for one
that may heal.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from aiokafka import errors
from aiokafka.errors import BrokerResponseError


class Verdict(Enum):
    """What to do with a batch that was refused."""

    AGAIN = "send it again at once: a leader, a replica or a sequence number was not as it should be"
    LATER = "send it again, with growing pauses, and say so: somebody must mend something"
    NEVER = "end: sent again, it would be refused again"


@dataclass(frozen=True)
class Refusal:
    """One error code.

    Attributes:
        words: what is wrong and how to mend it, behind "refuses N records of TOPIC"; "" where it heals by itself.
    """

    code: int
    name: str
    verdict: Verdict
    words: str = ""


_TABLE = (
    Refusal(-1, "UNKNOWN_SERVER_ERROR", Verdict.LATER, "for a fault of its own: see its log"),
    Refusal(2, "CORRUPT_MESSAGE", Verdict.LATER, "as damaged on their way: see the network, and the broker's log"),
    Refusal(3, "UNKNOWN_TOPIC_OR_PARTITION", Verdict.LATER, "as it has no such topic: `ashare topics apply` makes it"),
    Refusal(5, "LEADER_NOT_AVAILABLE", Verdict.AGAIN),
    Refusal(6, "NOT_LEADER_OR_FOLLOWER", Verdict.AGAIN),
    Refusal(7, "REQUEST_TIMED_OUT", Verdict.AGAIN),
    Refusal(8, "BROKER_NOT_AVAILABLE", Verdict.AGAIN),
    Refusal(9, "REPLICA_NOT_AVAILABLE", Verdict.AGAIN),
    Refusal(
        10,
        "MESSAGE_TOO_LARGE",
        Verdict.NEVER,
        "as larger than the topic takes: `ashare topics apply` sets its max.message.bytes; then start again",
    ),
    Refusal(13, "NETWORK_EXCEPTION", Verdict.AGAIN),
    Refusal(17, "INVALID_TOPIC_EXCEPTION", Verdict.NEVER, "as nobody may write to a topic of this name: give another"),
    Refusal(
        18,
        "RECORD_LIST_TOO_LARGE",
        Verdict.NEVER,
        "as larger than a segment of its log: raise the topic's segment.bytes, and start again",
    ),
    Refusal(19, "NOT_ENOUGH_REPLICAS", Verdict.AGAIN),
    Refusal(20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", Verdict.AGAIN),
    Refusal(21, "INVALID_REQUIRED_ACKS", Verdict.NEVER, "as it does not take acks=all: use a broker that does"),
    Refusal(29, "TOPIC_AUTHORIZATION_FAILED", Verdict.LATER, "as this user may not write there: grant WRITE on it"),
    Refusal(
        31,
        "CLUSTER_AUTHORIZATION_FAILED",
        Verdict.LATER,
        "as this user may not write idempotently: grant IDEMPOTENT_WRITE on the cluster",
    ),
    Refusal(
        32,
        "INVALID_TIMESTAMP",
        Verdict.NEVER,
        "as too far from its own clock: set the clocks of this machine and of the broker (NTP), and start again;"
        " `ashare topics apply` sets the topic's message.timestamp.after.max.ms",
    ),
    Refusal(35, "UNSUPPORTED_VERSION", Verdict.NEVER, "as it does not speak this version of Kafka's protocol"),
    Refusal(42, "INVALID_REQUEST", Verdict.NEVER, "as it does not understand the request: see its log"),
    Refusal(
        43,
        "UNSUPPORTED_FOR_MESSAGE_FORMAT",
        Verdict.NEVER,
        "as its log is of a format without headers: set the topic's message.format.version, and start again",
    ),
    Refusal(44, "POLICY_VIOLATION", Verdict.LATER, "by a policy of its own: see its log"),
    Refusal(45, "OUT_OF_ORDER_SEQUENCE_NUMBER", Verdict.AGAIN),
    Refusal(47, "INVALID_PRODUCER_EPOCH", Verdict.AGAIN),
    Refusal(49, "INVALID_PRODUCER_ID_MAPPING", Verdict.AGAIN),
    Refusal(53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", Verdict.LATER, "as this user may not: grant WRITE"),
    Refusal(56, "KAFKA_STORAGE_ERROR", Verdict.AGAIN),
    Refusal(59, "UNKNOWN_PRODUCER_ID", Verdict.AGAIN),
    Refusal(74, "FENCED_LEADER_EPOCH", Verdict.AGAIN),
    Refusal(75, "UNKNOWN_LEADER_EPOCH", Verdict.AGAIN),
    Refusal(76, "UNSUPPORTED_COMPRESSION_TYPE", Verdict.NEVER, "as it does not take their compression"),
    Refusal(
        87,
        "INVALID_RECORD",
        Verdict.NEVER,
        "as invalid, such as one without a key in a compacted topic: see its log, and the topic's cleanup.policy",
    ),
    Refusal(89, "THROTTLING_QUOTA_EXCEEDED", Verdict.LATER, "as this user's quota is used up: raise it"),
    Refusal(90, "PRODUCER_FENCED", Verdict.AGAIN),
    Refusal(100, "UNKNOWN_TOPIC_ID", Verdict.AGAIN),
    Refusal(103, "INCONSISTENT_TOPIC_ID", Verdict.AGAIN),
)

REFUSALS = {refusal.code: refusal for refusal in _TABLE}


def refusal_of(error: BaseException | None) -> Refusal | None:
    """What a client's error says of its batch; `None` where it is not the broker that refuses it."""
    if not isinstance(error, BrokerResponseError):
        return None
    code = error.errno
    return REFUSALS.get(code) or Refusal(code, type(error).__name__, Verdict.LATER, f"with {error!r}: see its log")


def pause(refused: int) -> float:
    """Seconds until a batch is sent again that was refused so many times."""
    return float(min(1 << min(refused, 6), 60)) / 2


# aiokafka (0.14.0) takes a code that it does not know for -1, and the meaning is lost.
for _refusal in _TABLE:
    if _refusal.code not in errors.kafka_errors:
        _attributes = {"errno": _refusal.code, "message": _refusal.name, "description": _refusal.words}
        _attributes["retriable"] = _refusal.verdict is Verdict.AGAIN
        errors.kafka_errors[_refusal.code] = type(f"{_refusal.name}_Error", (BrokerResponseError,), _attributes)
