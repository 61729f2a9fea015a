"""How each setting stands in ``--help``: how its value is written (``None`` for a switch), and the group of options."""

from __future__ import annotations

_KAFKA, _FEED, _CODES, _SECOND = "Kafka", "Feed", "Codes", "Several connections"
_TICKS, _HTTP, _STORE, _CHANGES = "Ticks", "HTTP", "Store", "Price changes"

SHOWN: dict[str, tuple[str | None, str]] = {
    "bootstrap": ("HOST:PORT[,...]", _KAFKA),
    "kafka_client": ("direct|plain", _KAFKA),
    "feed": ("NAME", _FEED),
    "url": ("URL", _FEED),
    "token": ("TOKEN", _FEED),
    "second_token": ("TOKEN", _SECOND),
    "symbols": ("CODE[,CODE...]|*|@FILE", _CODES),
    "watchlist": ("FILE", _CODES),
    "lines": ("N", _SECOND),
    "arbitrate": (None, _SECOND),
    "second_feed": ("NAME", _SECOND),
    "second_url": ("URL", _SECOND),
    "source": ("ID", _FEED),
    "trades_only": (None, _CODES),
    "foreign": (None, _CODES),
    "kinds": ("KIND[,KIND...]", _CODES),
    "quality": ("mark|quarantine|off", _TICKS),
    "own_clock": (None, _TICKS),
    "heartbeat": ("SECONDS", _FEED),
    "heartbeat_message": ("TEXT", _FEED),
    "volume_unit": ("UNIT[,BOARD=UNIT...]", _TICKS),
    "turnover": ("carried|computed|none", _TICKS),
    "time_unit": ("auto|s|ms|us|ns", _TICKS),
    "http_port": ("PORT", _HTTP),
    "http_token": ("TOKEN", _HTTP),
    "agents": ("AGENT[,AGENT...]", "Agents"),
    "store": ("URL", _STORE),
    "store_user": ("NAME", _STORE),
    "store_password_file": ("FILE", _STORE),
    "threshold": ("THRESHOLD", _CHANGES),
    "thresholds": ("SCOPE=VALUE[,...]", _CHANGES),
    "web_host": ("HOST", _HTTP),
    "web_port": ("PORT", _HTTP),
    "web_url": ("URL", _HTTP),
    "web_hosts": ("HOST[,HOST...]", _HTTP),
    "peer_secret": ("SECRET", _HTTP),
    "group_instance_id": ("ID", _KAFKA),
    "archive": ("DIR", "Archive"),
}
