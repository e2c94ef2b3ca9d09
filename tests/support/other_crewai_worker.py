"""A worker half beside a CrewAI whose storage of task outputs is another than the runtime's patch was made for."""

import os
import runpy

from crew_runtime import telemetry

telemetry.turn_off_unattended(os.environ)

from crewai.memory.storage import kickoff_task_outputs_storage as original  # noqa: E402


class Changed(original.KickoffTaskOutputsSQLiteStorage):
    """`load` has got a parameter, as in some later version."""

    def load(self, kickoff_id=None):
        return super().load()


original.KickoffTaskOutputsSQLiteStorage = Changed
runpy.run_module("crew_runtime.worker", run_name="__main__")
