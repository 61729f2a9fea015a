"""``python -m deploy.check``: what is deployed, held against the strictest offline check that there is.

Compose files by the specification's own schema; the Dockerfile by hadolint; each overlay rendered by kustomize, then
every object by the API's own schemas and Strimzi's resource definitions, with no unknown field; example
workflows by actionlint; monitoring by its own check, if there is one. kustomize and actionlint are Go programs, built
once from ``deploy/tools`` (pinned by ``go.sum``); Strimzi's definitions come from its own generator, a pinned jar.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from deploy.embedded.jars import jars, java
from schemas import UsageError

ROOT = Path(__file__).parent.parent
COMPOSE = ("docker-compose.yml", "docker-compose.secure.yml")
OVERLAYS = ("deploy/kubernetes/overlays/dev", "deploy/kubernetes/overlays/prod")
KUBERNETES = "1.35"
"""The version whose schemas count: older ones lack nothing that is used."""
MONITORING = "deploy.monitoring.check"
_TOOLS = Path(__file__).parent / "tools"
_MODELS = {"Kafka": "kafka.Kafka", "KafkaTopic": "topic.KafkaTopic", "KafkaUser": "user.KafkaUser"} | {
    "KafkaNodePool": "nodepool.KafkaNodePool"
}
_BUILDING = 900.0


def compose(root: Path = ROOT) -> list[str]:
    """What is wrong with the Compose files."""
    files = [str(root / name) for name in COMPOSE]
    return _run([sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", *files])


def dockerfile(root: Path = ROOT) -> list[str]:
    """What hadolint says of the Dockerfile."""
    return _run([str(Path(sys.executable).with_name("hadolint")), str(root / "deploy/docker/Dockerfile")])


def workflows(root: Path = ROOT) -> list[str]:
    """What actionlint says of the example workflows."""
    found = [str(path) for path in sorted((root / "docs").glob("*.yml")) if "\njobs:" in path.read_text("utf-8")]
    return _run([str(tool("actionlint")), "-no-color", *found])


def kubernetes(root: Path = ROOT) -> list[str]:
    """What is wrong with the objects of each overlay."""
    wrong = []
    for overlay in OVERLAYS:
        command = [str(tool("kustomize")), "build", str(root / overlay)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            wrong.append(f"{overlay}: {done.stderr.strip()}")
            continue
        wrong += [f"{overlay}: {what}" for what in objects(yaml.safe_load_all(done.stdout))]
    return wrong


def objects(found: Iterator[Any]) -> Iterator[str]:
    """What is wrong with objects: a field that there is not, a value of another type, a reference to nothing."""
    import jsonschema  # noqa: PLC0415 - of the development environment
    import kubernetes_validate  # noqa: PLC0415 - likewise

    every = [one for one in found if one]
    names = {(one["kind"], one["metadata"]["name"]) for one in every}
    for one in every:
        where = f"{one['kind']} {one['metadata']['name']}"
        try:
            if one["apiVersion"].startswith("kafka.strimzi.io/"):
                definitions()[one["apiVersion"], one["kind"]].validate(one)
            else:
                kubernetes_validate.validate(one, KUBERNETES, strict=True)
        except KeyError:
            yield f"{where}: Strimzi has no such resource in {one['apiVersion']}"
        except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
            yield f"{where}: {'.'.join(map(str, error.path))}: {str(error).splitlines()[0]}"
        for kind, name in _references(one):
            if (kind, name) not in names:
                yield f"{where}: names the {kind} {name}, which is not there"


def monitoring(root: Path = ROOT) -> list[str]:
    """What monitoring's own check says, if it is there."""
    if not (root / "deploy/monitoring/check.py").exists() or importlib.util.find_spec("deploy.monitoring") is None:
        return []
    return _run([sys.executable, "-m", MONITORING], cwd=root)


CHECKS: Mapping[str, Callable[[Path], list[str]]] = {
    "compose": compose,
    "Dockerfile": dockerfile,
    "Kubernetes": kubernetes,
    "workflows": workflows,
    "monitoring": monitoring,
}


@cache
def tool(name: str) -> Path:
    """A Go program of ``deploy/tools``, built where it is missing; beside the virtual environment's own programs.

    Raises:
        UsageError: there is no Go, or it can't be built.
    """
    digest = hashlib.sha256((_TOOLS / "go.mod").read_bytes() + (_TOOLS / "go.sum").read_bytes()).hexdigest()
    place = Path(sys.prefix) / "deploy-tools" / digest[:16]
    if not (place / name).exists():
        place.mkdir(parents=True, exist_ok=True)
        try:
            done = subprocess.run(
                ["go", "build", "-o", f"{place}{os.sep}", "tool"],  # noqa: S607 - whichever Go is installed
                cwd=_TOOLS,
                env=os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"},
                capture_output=True,
                text=True,
                check=False,
                timeout=_BUILDING,
            )
        except FileNotFoundError as error:
            raise UsageError(f"{name} is built with Go, which is not installed: install Go 1.25 or newer") from error
        if done.returncode:
            raise UsageError(f"{name} can't be built from {_TOOLS}: {done.stderr.strip()}")
    return place / name


@cache
def definitions() -> Mapping[tuple[str, str], Any]:
    """Validators of Strimzi's resources by API version and kind, strict: a field that they don't name is an error."""
    from jsonschema import Draft7Validator  # noqa: PLC0415 - of the development environment

    with tempfile.TemporaryDirectory() as folder:
        wanted = [f"io.strimzi.api.kafka.model.{model}={folder}/{kind}.yaml" for kind, model in _MODELS.items()]
        classes = os.pathsep.join(map(str, jars("strimzi-crds")))
        command = [str(java()), "-cp", classes, "io.strimzi.crdgenerator.CrdGenerator", "--yaml"]
        said = _run([*command, "--crd-api-version", "v1", *wanted])
        if said:
            raise UsageError(f"Strimzi's definitions can't be made: {said[0]}")
        read = [yaml.safe_load(Path(folder, f"{kind}.yaml").read_text("utf-8"))["spec"] for kind in _MODELS]
    return {
        (f"{made['group']}/{version['name']}", made["names"]["kind"]): Draft7Validator(
            _strict(version["schema"]["openAPIV3Schema"])
        )
        for made in read
        for version in made["versions"]
    }


def _strict(schema: Any) -> Any:
    """A schema in which an object has the fields that it names, as the API server prunes all others."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _strict(value) for key, value in schema.items() if key != "properties"}
    if "properties" in schema:
        made["properties"] = {name: _strict(value) for name, value in schema["properties"].items()}
        if "additionalProperties" not in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            made["additionalProperties"] = False
    return made


def _references(one: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The ConfigMaps, and the users of Kafka whose password is a Secret, that a pod of an object names."""
    spec = one.get("spec", {})
    pod = spec.get("template", {}).get("spec", {}) if one["kind"] in {"Deployment", "StatefulSet"} else {}
    for container in pod.get("containers", ()):
        for source in container.get("envFrom", ()):
            yield "ConfigMap", source["configMapRef"]["name"]
    for volume in pod.get("volumes", ()):
        if volume["name"] == "kafka-user":
            yield "KafkaUser", volume["secret"]["secretName"]


def _run(command: Sequence[str], cwd: Path | None = None) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=cwd)
    return [] if done.returncode == 0 else [(done.stdout + done.stderr).strip() or f"ended with {done.returncode}"]


def main() -> int:
    """Run every check; 1 if something is wrong."""
    wrong = 0
    for name, check in CHECKS.items():
        for what in check(ROOT):
            sys.stdout.write(f"{name}: {what}\n")
            wrong += 1
    if not wrong:
        sys.stdout.write(f"check-deploy: {', '.join(CHECKS)} are clean\n")
    return min(wrong, 1)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UsageError as problem:
        sys.exit(f"check-deploy: {problem}")
