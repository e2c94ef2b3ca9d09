"""`python -m support.rehearsed.stage ANSWERS MODULE:FUNCTION...`: each rehearsed in a process forked for it.

CrewAI is imported and our storage installed once, as in a replica's worker, which forks its trial in the same way.
"""

import json
import os
import sys
import traceback
from dataclasses import asdict
from pathlib import Path

from crew_runtime import installation
from crew_runtime.crewai.loading import load
from crew_runtime.crewai.rehearsing import stage


def _one(folder: Path, entrypoint: str) -> None:
    function = entrypoint.partition(":")[2]
    os.environ["REHEARSED_EFFECTS"] = str(folder / f"{function}.effects")
    workdir = folder / function
    workdir.mkdir()
    os.chdir(workdir)
    loaded = load.load(entrypoint, "")
    found = asdict(stage.rehearse(loaded, loaded.make()))
    found["files"] = sorted(str(one.relative_to(workdir)) for one in workdir.rglob("*"))
    (folder / f"{function}.json").write_text(json.dumps(found))


def main(folder: Path, entrypoints: list[str]) -> None:
    installation.install()
    for one in entrypoints:
        child = os.fork()
        if not child:
            try:
                _one(folder, one)
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
