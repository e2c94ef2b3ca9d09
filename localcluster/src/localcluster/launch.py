"""Starting a cluster from the command line: in the foreground, or as a supervisor of its own in the background."""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from localcluster import components, private, state
from localcluster.components import Component
from localcluster.errors import ClusterError, UsageError
from localcluster.node import images
from localcluster.node.images import Image

_START_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asked for."""

    folder: Path
    images: tuple[str, ...] = ()
    file: Path | None = None
    """What will be applied; unknown images run from its folder."""
    port: int = 0
    with_operator: bool = True


def fallback(wish: Wish) -> Image | None:
    """What an unknown image runs as: the folder of the applied file, by the crew's interpreter."""
    if wish.file is None:
        return None
    return images.of_folder("*", wish.file.parent, images.crew_python())


def explained(wish: Wish) -> Iterator[str]:
    """What the user should know about images that are none."""
    chosen = fallback(wish)
    if chosen is None or wish.file is None:
        return
    known = [images.parse(text).name for text in wish.images]
    for name in sorted(_images_of(wish.file)):
        if name not in known:
            yield f"image {name} is not here: it runs from {chosen.workdir} by {images.crew_python() or 'python3'}"


def _images_of(file: Path) -> set[str]:
    """The crews' images in a file."""
    try:
        manifests: list[Any] = list(yaml.safe_load_all(file.read_text()))
    except yaml.YAMLError as error:
        raise UsageError(f"-f {file}: {error}") from error
    crews = (one.get("spec", {}).get("crew", {}) for one in manifests if isinstance(one, dict))
    return {crew["image"] for crew in crews if isinstance(crew, dict) and crew.get("image")}


def planned(wish: Wish) -> list[Component]:
    """The processes that `up` starts, before any pod."""
    found = [components.supervisor(wish.folder, _arguments(wish))]
    if wish.with_operator:
        found.append(components.operator(wish.folder / "kubeconfig", "127.0.0.10"))
    return found


def _arguments(wish: Wish) -> tuple[str, ...]:
    words = [word for text in wish.images for word in ("--image", text)]
    if wish.file is not None:
        words += ["-f", str(wish.file)]
    if wish.port:
        words += ["--port", str(wish.port)]
    if not wish.with_operator:
        words.append("--without-operator")
    return tuple(words)


def in_background(wish: Wish) -> state.Handle:
    """Start a supervisor that outlives this command, and wait until its cluster is ready.

    Raises:
        ClusterError: one runs there already, or it did not come up.

    """
    found = state.load(wish.folder)
    if found is not None and found.is_alive:
        raise ClusterError(f"a local cluster runs in {wish.folder} already: use it, or end it with 'crewctl down'")
    if found is not None:
        found.stop()  # what a killed supervisor left
    for text in wish.images:
        images.parse(text)  # said here rather than in a log
    # One that is there may be the user's own; what is put into it is closed one by one.
    wish.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = wish.folder / "supervisor.log"
    private.write(log, "")
    component = components.supervisor(wish.folder, _arguments(wish))
    with log.open("ab") as file:
        process = subprocess.Popen(
            component.argv, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )
    ends = time.monotonic() + _START_SECONDS
    while time.monotonic() < ends:
        handle = state.load(wish.folder)
        if handle is not None and handle.pid == process.pid:
            return handle
        if process.poll() is not None:
            break
        time.sleep(0.05)
    else:
        process.terminate()
    tail = "\n".join(log.read_text(errors="replace").strip().splitlines()[-15:])
    raise ClusterError(f"the local cluster did not come up; {log} ends with:\n{tail}")


async def serve(wish: Wish, tell: Callable[[str], None]) -> int:
    """Be the supervisor until SIGTERM or SIGINT."""
    from localcluster.cluster import Cluster, Options

    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    found = state.load(wish.folder)
    if found is not None and found.is_alive:
        raise ClusterError(f"a local cluster runs in {wish.folder} already: use it, or end it with 'crewctl down'")
    os.umask(private.UMASK)  # of the pods' processes as well: Redis' log of writes, a crew's files
    wish.folder.mkdir(parents=True, exist_ok=True)
    options = Options(
        folder=wish.folder,
        images=tuple(images.parse(text) for text in wish.images),
        fallback=fallback(wish),
        with_operator=wish.with_operator,
        port=wish.port,
    )
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with Cluster(options) as cluster:
        cluster.handle().save()
        tell(f"ready: export KUBECONFIG={cluster.kubeconfig}")
        ended = asyncio.create_task(cluster.wait())
        stopped = asyncio.create_task(stopping.wait())
        await asyncio.wait((ended, stopped), return_when=asyncio.FIRST_COMPLETED)
        for task in (ended, stopped):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ended
    for name in ("cluster.json", "kubeconfig"):
        (wish.folder / name).unlink(missing_ok=True)
    return 0
