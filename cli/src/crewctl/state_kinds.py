"""Which kinds of CrewAI's state may lie in one process without a loss of anything. Pure; the one list for all checks.

The kinds are those of `crew_runtime.contract.report.StateKind`; docs/state.md says what each of them means with N
replicas. A kind that is not listed here has to be shared.
"""

from typing import Final

HARMLESS: Final = {
    "task-outputs": "`crewai replay` is for a laptop; no kickoff reads it",
    "knowledge": "every replica makes the same copy out of the crew's sources",
}
"""Kind -> why."""
