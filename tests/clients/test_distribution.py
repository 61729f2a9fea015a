"""What other teams install: a wheel with two dependencies, that lands beside their code and brings none of ours."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import subprocess
import sys
import textwrap
import tomllib
import venv
import zipfile
from pathlib import Path

from tests.clients.topics import Written, change

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "clients" / "python"
PACKAGE = CLIENT / "ashare_client"
PROJECT = tomllib.loads((CLIENT / "pyproject.toml").read_text("utf-8"))["project"]
OURS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"][
    "packages"
]

READS = textwrap.dedent(
    """
    import asyncio, importlib.util, json, sys
    from ashare_client import PriceChanges, sync

    async def main(bootstrap, topic):
        async with PriceChanges(bootstrap, topic=topic, start="earliest") as changes:
            async for change in changes:
                return [change.code, change.price]

    ours = [name for name in json.loads(sys.argv[3]) if importlib.util.find_spec(name)]
    print(json.dumps({"read": asyncio.run(main(*sys.argv[1:3])), "ours": ours}))
    """
)


def run(*command: str | Path, folder: Path) -> str:
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_imports_none_of_ours_and_nothing_undeclared() -> None:
    """Only its two dependencies and the standard library at import; the extras where they are used."""
    names = set()
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0
                names.add(str(node.module).partition(".")[0])
    foreign = names - sys.stdlib_module_names - {"ashare_client"}
    declared = {re.split("[<>=]", requirement)[0] for requirement in PROJECT["dependencies"]}
    assert declared == {"aiokafka", "msgspec"}
    assert foreign - {"pyarrow"} == declared
    assert not foreign & set(OURS)


def test_it_is_licensed_as_the_project_is() -> None:
    """Its own copy of the licence, since it travels alone."""
    assert (CLIENT / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


async def test_it_reads_from_an_empty_environment(topic: Written, tmp_path: Path) -> None:
    """The wheel and what it asks for, in a new environment: nothing else of ours is there, and a change is read."""
    await topic.put([change("600519", 0, 1700.01)])
    await asyncio.to_thread(install, tmp_path)
    python = tmp_path / "env" / "bin" / "python"
    said = await asyncio.to_thread(
        run, python, "-I", "-c", READS, topic.bootstrap, topic.name, json.dumps(OURS), folder=tmp_path
    )
    assert json.loads(said) == {"read": ["600519", 1700.01], "ours": []}


def install(folder: Path) -> None:
    """Build the wheel, make an environment, and install the one into the other with its dependencies."""
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, CLIENT, folder=folder)
    (wheel,) = folder.glob("ashare_client-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"ashare_client"}
    assert "ashare_client/py.typed" in names
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / "bin" / "python"
    run(*pip, "--python", python, "install", "-q", "--only-binary", ":all:", wheel, folder=folder)
    run(*pip, "--python", python, "check", folder=folder)
