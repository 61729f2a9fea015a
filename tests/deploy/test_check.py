"""What is deployed is clean, and a mistake in any of it is caught: the checks are not blind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from deploy import check
from deploy.kubernetes import generate
from schemas.acls import roles
from schemas.topics import topics

pytestmark = [
    pytest.mark.timeout(600),  # the first one builds kustomize
    pytest.mark.skipif(shutil.which("go") is None, reason="kustomize and actionlint are built with Go"),
]
BASE = "deploy/kubernetes/base"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of all that is checked."""
    for folder in ("deploy/kubernetes", "deploy/docker"):
        shutil.copytree(check.ROOT / folder, tmp_path / folder)
    (tmp_path / "docs").mkdir()
    for file in [*check.ROOT.glob("docker-compose*.yml"), *(check.ROOT / "docs").glob("*.yml")]:
        shutil.copy(file, tmp_path / file.relative_to(check.ROOT))
    return tmp_path


def test_all_is_clean(capsys: pytest.CaptureFixture[str]) -> None:
    """``make check-deploy`` passes and says what it looked at."""
    assert check.main() == 0, capsys.readouterr().out
    assert capsys.readouterr().out.startswith("check-deploy: compose, Dockerfile, Kubernetes, workflows, monitoring")


@pytest.mark.parametrize(
    ("look", "file", "right", "wrong", "said"),
    [
        (check.compose, "docker-compose.yml", "read_only: true", "readonly: true", "readonly"),
        (check.compose, "docker-compose.secure.yml", "entrypoint:", "entry_point:", "entry_point"),
        (check.dockerfile, "deploy/docker/Dockerfile", "WORKDIR /data", "WORKDIR data", "DL3000"),
        (check.workflows, "docs/security-scan.yml", "runs-on: ubuntu-latest", "run-on: ubuntu-latest", "run-on"),
        (check.kubernetes, f"{BASE}/processors.yaml", "podManagementPolicy:", "podPolicy:", "StatefulSet processors"),
        (check.kubernetes, f"{BASE}/processors.yaml", "port: 6066, target", "port: x, target", "Service processors"),
        (check.kubernetes, f"{BASE}/kafka.yaml", "topicOperator: {}", "topicOperater: {}", "Kafka ashare"),
        (check.kubernetes, f"{BASE}/topics.yaml", "partitions: 12", "partitions: none", "KafkaTopic ashare."),
        (check.kubernetes, f"{BASE}/users.yaml", "- Read\n", "- Reed\n", "KafkaUser producer"),
        (check.kubernetes, f"{BASE}/producer.yaml", "name: ashare-feed", "name: feed-settings", "feed-settings"),
        (check.kubernetes, f"{BASE}/kustomization.yaml", "- network.yaml", "- networks.yaml", "networks.yaml"),
        (
            check.kubernetes,
            "deploy/kubernetes/overlays/prod/schedule.yaml",
            "timeZone: Asia",
            "timezone: Asia",
            "CronJob",
        ),
    ],
)
def test_a_mistake_is_caught(  # noqa: PLR0917 - a table of cases
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    look: Callable[[Path], list[str]],
    file: str,
    right: str,
    wrong: str,
    said: str,
) -> None:
    """One word in one file, and the check names the place."""
    text = (root / file).read_text("utf-8")
    assert right in text
    monkeypatch.setattr(check, "OVERLAYS", check.OVERLAYS[1:])
    (root / file).write_text(text.replace(right, wrong, 1), "utf-8")
    assert said in "\n".join(look(root))


def test_strimzi_s_objects_are_those_of_topics_and_rules() -> None:
    """``make schemas`` was run; every topic and every part is there, and nothing else."""
    for name, text in generate.files().items():
        assert (generate.FOLDER / name).read_text("utf-8") == text, "run `make schemas`"
    written = {name: list(yaml.safe_load_all(text)) for name, text in generate.files().items()}
    assert [one["metadata"]["name"] for one in written["topics.yaml"]] == list(topics())
    assert [one["metadata"]["name"] for one in written["users.yaml"]] == list(roles())
    for user, role in zip(written["users.yaml"], roles().values(), strict=True):
        acls = user["spec"]["authorization"]["acls"]
        assert sum(len(acl["operations"]) for acl in acls) == len(role.rules("User:any"))
