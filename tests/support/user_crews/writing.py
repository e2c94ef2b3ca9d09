"""Crews whose tasks write files, in every way that a task can. What their code sees is a line in the file `seen`."""

import asyncio
from pathlib import Path
from typing import Any

from crewai import Agent, Crew, Task
from crewai.flow.flow import Flow, listen, start

from support.user_crews.plain import EchoLLM


class OwnTask(Task):
    """Writes its file itself."""

    def _save_file(self, result: Any) -> None:
        Path("own.md").write_text(f"own {result}")


def note(line: str) -> None:
    with Path("seen").open("a") as file:
        file.write(line + "\n")


def strict(output: Any) -> tuple[bool, Any]:
    """Refuses the first answer."""
    note(f"guardrail {output.raw}")
    refused = Path("seen").read_text().count("guardrail") == 1
    return (False, "once more") if refused else (True, output.raw)


def make() -> Crew:
    who = Agent(role="Writer", goal="answer", backstory="knows", llm=EchoLLM(model="echo"), max_iter=2)
    kinds: list[tuple[type[Task], str, dict[str, Any]]] = [
        (Task, "reports/{name}.md", {}),
        (Task, "/data/leading.md", {}),
        (Task, "data/deep/{name}.md", {}),
        (Task, "later.md", {"async_execution": True}),
        (OwnTask, "elsewhere.md", {}),
        (Task, "checked.md", {"guardrail": strict}),
    ]
    tasks = [
        kind(
            description=f"Say {number} {{name}}",
            expected_output="a line",
            agent=who,
            output_file=file,
            callback=lambda _, at=number: note(f"file {tasks[at].output_file}"),
            **more,
        )
        for number, (kind, file, more) in enumerate(kinds)
    ]
    return Crew(agents=[who], tasks=tasks)


def broken() -> Crew:
    """Whose task wants a folder that nobody made."""
    one = make()
    one.tasks = [Task(description="Say a", expected_output="a", agent=one.agents[0], output_file="none/a.md")]
    one.tasks[0].create_directory = False
    return one


class Two(Flow[dict[str, Any]]):
    """A crew in a thread, and one in the flow's own loop."""

    @start()
    async def first(self) -> str:
        one = small("first.md")
        return str(await asyncio.to_thread(one.kickoff, {"name": "tea"}))

    @listen(first)
    async def second(self) -> str:
        return str(await small("second/{name}.md").akickoff({"name": "tea"}))


def small(file: str) -> Crew:
    one = make()
    one.tasks = [Task(description="Say {name}", expected_output="a", agent=one.agents[0], output_file=file)]
    return one


def flow() -> Two:
    return Two()
