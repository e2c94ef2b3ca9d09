"""A replica runs the definition that it was started with, whatever becomes of the ConfigMap.

A volume follows its ConfigMap within a minute. Processes that read it later would then run another crew than their pod
was rolled out with, or none, when the new one is broken and its rollout stands still.

The copy lies where every kickoff's code may write. So what was in it at the worker's start is told to the worker's
children by its digest, and they take nothing else.
"""

import shutil
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

from crew_runtime.contract import definition as files
from crew_runtime.contract import env


def keep(environ: MutableMapping[str, str]) -> None:
    """Copy the definition's folder into the pod's own state, once in the pod's life, and point to the copy from now on.

    Without CREWOPS_STATE (no pod) and without a folder, nothing is done.
    """
    told, state = environ.get(env.DEFINITION, "").strip(), environ.get(env.STATE, "").strip()
    if not state or not Path(told or "-").is_dir():
        return
    kept = Path(state, "definition")
    if not kept.is_dir():
        _copy(Path(told), kept)
    environ[env.DEFINITION] = str(kept)
    environ[env.DEFINITION_DIGEST] = files.digest(kept)


def _copy(folder: Path, kept: Path) -> None:
    """Whole or not at all: the container may be killed meanwhile."""
    fresh = Path(tempfile.mkdtemp(dir=kept.parent, prefix="definition-"))
    for one in folder.iterdir():
        if one.is_file():  # through the links of a volume; its own folders begin with dots
            shutil.copyfile(one, fresh / one.name)
    fresh.rename(kept)
