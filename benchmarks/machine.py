"""What a figure was measured on: nothing published here is worth more than this."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from deploy.embedded.jars import ROOTS

_LIBRARIES = ("aiokafka", "confluent-kafka", "faust-streaming", "msgspec", "orjson", "uvloop", "websockets")


def machine() -> dict[str, str]:
    """Processor, memory, system, versions, and how busy the machine was before anything of ours ran."""
    cores = len(os.sched_getaffinity(0))
    return {
        "processor": f"{cores} × {_processor()}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "Python": platform.python_version(),
        "Kafka": ROOTS["kafka"][0].rpartition(":")[2],
        "QuestDB": ROOTS["questdb"][0].rpartition(":")[2],
        **{name: _version(name) for name in _LIBRARIES},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    found = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(found, platform.machine())


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
