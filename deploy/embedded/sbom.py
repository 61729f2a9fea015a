"""The SBOM of the embedded parts' jars, in CycloneDX: ``python deploy/embedded/sbom.py > jars.cdx.json``.

It needs PyYAML and ``cyclonedx-python-lib`` (not among the project's dependencies: SECURITY.md says how it is used) and
names what ``jars.yaml`` pins, so it is what is started. The lock files are read by scanners as they are.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

_PINS = Path(__file__).with_name("jars.yaml")


class Jar(NamedTuple):
    """A pinned jar."""

    group: str
    name: str
    version: str
    sha256: str


def pinned() -> Iterator[Jar]:
    """Every jar once, in order."""
    parts: dict[str, dict[str, str]] = yaml.safe_load(_PINS.read_text("utf-8"))
    for coordinate, sha256 in sorted({pin for part in parts.values() for pin in part.items()}):
        group, name, version = coordinate.split(":")
        yield Jar(group, name, version, sha256)


def main() -> None:
    """Write the SBOM to standard output."""
    from cyclonedx.model import HashAlgorithm, HashType  # noqa: PLC0415 - only whoever scans has it
    from cyclonedx.model.bom import Bom  # noqa: PLC0415
    from cyclonedx.model.component import Component, ComponentType  # noqa: PLC0415
    from cyclonedx.output.json import JsonV1Dot6  # noqa: PLC0415
    from packageurl import PackageURL  # noqa: PLC0415

    bom = Bom(
        components=[
            Component(
                type=ComponentType.LIBRARY,
                group=jar.group,
                name=jar.name,
                version=jar.version,
                purl=PackageURL("maven", jar.group, jar.name, jar.version, {"type": "jar"}),
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=jar.sha256)],
            )
            for jar in pinned()
        ]
    )
    sys.stdout.write(JsonV1Dot6(bom).output_as_string(indent=2) + "\n")


if __name__ == "__main__":
    main()
