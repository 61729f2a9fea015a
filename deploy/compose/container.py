"""Becomes a program in namespaces of its own: ``python -m deploy.compose.container SPEC.json``.

What a container engine does for a service, done by hand, for Linux and root: a root directory of its own, read-only if
asked, that holds Python, the project and what the service names; a host name and, if asked, a network of its own; a
limit of memory by a control group; then another user without any capability, which can gain none. ``join`` in the file
names a process whose namespaces are entered instead: so a health check runs where its service does.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

_NEW_NS, _NEW_UTS, _NEW_IPC, _NEW_NET = 0x00020000, 0x04000000, 0x08000000, 0x40000000
_RDONLY, _NOSUID, _NODEV, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
_NO_NEW_PRIVS, _CAPBSET_DROP, _LAST_CAPABILITY = 38, 24, 63
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Read the file, and become what it says."""
    spec: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    if spec.get("cgroup"):
        Path(spec["cgroup"], "cgroup.procs").write_text(str(os.getpid()))
    if spec.get("join"):
        _enter(int(spec["join"]))
    else:
        _isolate(spec)
    _become(int(spec["uid"]))
    os.chdir(spec["workdir"])
    os.umask(0o022)
    os.execvpe(spec["argv"][0], spec["argv"], spec["environment"])  # noqa: S606 - no shell is wanted


def new_network() -> None:
    """Give this process, and what it starts, a network of its own, with loopback up; and mounts of its own."""
    _call("unshare", _NEW_NET | _NEW_NS)
    _mount("none", "/", None, _REC | _PRIVATE)
    import fcntl  # noqa: PLC0415 - the starter's, once
    import struct  # noqa: PLC0415 - likewise

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: up, running


def _enter(process: int) -> None:
    inside = Path("/proc", str(process))
    root = os.open(inside / "root", os.O_RDONLY)
    for kind in ("uts", "ipc", "net", "mnt"):
        handle = os.open(inside / "ns" / kind, os.O_RDONLY)
        _call("setns", handle, 0)
        os.close(handle)
    os.fchdir(root)
    os.close(root)
    os.chroot(".")


def _isolate(spec: dict[str, Any]) -> None:
    if spec.get("network"):
        handle = os.open(spec["network"], os.O_RDONLY)
        _call("setns", handle, _NEW_NET)
        os.close(handle)
    _call("unshare", _NEW_NS | _NEW_UTS | _NEW_IPC)
    socket.sethostname(spec["hostname"])
    _mount("none", "/", None, _REC | _PRIVATE)
    root = Path(spec["root"])
    _mount("tmpfs", root, "tmpfs", _NOSUID, "mode=755,size=256m")
    for path in map(Path, spec["shown"]):
        _show(root, path)
    for path in ("proc", "dev", "tmp", "etc"):
        (root / path).mkdir(mode=0o755, exist_ok=True)
    _mount("/proc", root / "proc", None, _BIND | _REC)
    for name in _DEVICES:
        (root / "dev" / name).touch()
        _mount(f"/dev/{name}", root / "dev" / name, None, _BIND)
    os.symlink("/proc/self/fd", root / "dev/fd")
    (root / "dev/shm").mkdir()
    _mount("shm", root / "dev/shm", "tmpfs", _NOSUID | _NODEV, "mode=1777,size=64m")
    for target, options in spec["tmpfs"]:
        inner = _made(root, target)
        _mount("tmpfs", inner, "tmpfs", _NOSUID | _NODEV, options)
    for source, target, writable in spec["binds"]:
        inner = _made(root, target, file=Path(source).is_file())
        _bind(source, inner, writable=writable)
    if spec["read_only"]:
        _mount("none", root, None, _REMOUNT | _RDONLY | _NOSUID, "mode=755,size=256m")
    os.chdir(root)
    os.chroot(".")


def _show(root: Path, path: Path) -> None:
    """Let the new root have a path of the old one, for reading."""
    inner = root / path.relative_to("/")
    if path.is_symlink():
        inner.parent.mkdir(parents=True, exist_ok=True)
        inner.symlink_to(path.readlink())
        return
    inner.mkdir(parents=True, exist_ok=True)
    _bind(path, inner, writable=False)


def _made(root: Path, target: str, *, file: bool = False) -> Path:
    inner = root / target.lstrip("/")
    if not inner.exists():
        (inner.parent if file else inner).mkdir(parents=True, exist_ok=True)
        if file:
            inner.touch()
    return inner


def _bind(source: str | Path, target: Path, *, writable: bool) -> None:
    _mount(source, target, None, _BIND)
    if not writable:
        _mount("none", target, None, _BIND | _REMOUNT | _RDONLY)


def _become(user: int) -> None:
    for capability in range(_LAST_CAPABILITY + 1):
        _libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0)  # what this kernel does not have is refused
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    _call("prctl", _NO_NEW_PRIVS, 1, 0, 0, 0)


def _mount(source: str | Path, target: str | Path, kind: str | None, flags: int, options: str = "") -> None:
    _call(
        "mount",
        os.fsencode(source),
        os.fsencode(target),
        None if kind is None else kind.encode(),
        flags,
        options.encode() or None,
    )


def _call(name: str, *arguments: Any) -> None:
    if getattr(_libc, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}{arguments}: {os.strerror(number)}")


if __name__ == "__main__":
    main()
