"""The tests that take most CPU time, in a table at a run's end: a figure that a busy machine leaves as it is.

Counted by the kernel for a control group of each test process: with all processes that a test starts, however they are
started and whoever buries them. Where no such group can be made (another system, no rights) there is no table.
"""

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

SHOWN = 15
LEAST = 2.0
"""Seconds; what takes less is not worth a line."""
_PROPERTY = "cpu_seconds"


class CpuTime:
    """The plugin. A run's processes count, its first one adds up."""

    def __init__(self, group: Path | None) -> None:
        self._group = group
        self._before = 0.0
        self._spent: Counter[str] = Counter()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        """After setup, call and teardown."""
        report = yield
        if self._group is not None:
            now = _seconds(self._group)
            report.user_properties.append((_PROPERTY, now - self._before))
            self._before = now
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """In the first process, of whichever."""
        self._spent[report.nodeid] += sum(value for name, value in report.user_properties if name == _PROPERTY)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Nothing where nothing was counted, or nothing that is worth it."""
        shown = [(name, seconds) for name, seconds in self._spent.most_common(SHOWN) if seconds >= LEAST]
        if shown:
            terminalreporter.section(f"most CPU time of {self._spent.total():.0f} s")
        for name, seconds in shown:
            terminalreporter.line(f"{seconds:.2f}s {name}")

    def pytest_unconfigure(self) -> None:
        """All that is left of this run goes back to where it was, and the group away."""
        if self._group is not None:
            with contextlib.suppress(OSError):
                for pid in _lines(str(self._group / "cgroup.procs")):
                    (self._group.parent / "cgroup.procs").write_text(pid)
                self._group.rmdir()


def plugin(config: pytest.Config) -> CpuTime:
    """For this process of a run."""
    hands_out = not hasattr(config, "workerinput") and getattr(config.option, "numprocesses", None)
    return CpuTime(None if hands_out else _group())


def _group() -> Path | None:
    """A control group (version 2) of this process' own, below the one it is in."""
    with contextlib.suppress(OSError, StopIteration):
        mounted = next(line.split()[1] for line in _lines("/proc/self/mounts") if line.split()[2] == "cgroup2")
        within = next(line.partition("::")[2] for line in _lines("/proc/self/cgroup") if line.startswith("0::"))
        group = Path(mounted) / within.lstrip("/") / f"crewops-tests-{os.getpid()}"
        group.mkdir()
        (group / "cgroup.procs").write_text(str(os.getpid()))
        return group
    return None


def _seconds(group: Path) -> float:
    return int((group / "cpu.stat").read_text().split()[1]) / 1e6


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
