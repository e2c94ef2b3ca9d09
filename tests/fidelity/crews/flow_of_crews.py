"""A flow of crews: one after the other, for each, async, and their usage together."""

from typing import Any

from crewai import Crew
from crewai.flow.flow import Flow, listen, start
from scripted import Scripted, agent, note, task


def small(text: str) -> Crew:
    who = agent("Clerk", Scripted(model="clerk"))
    return Crew(agents=[who], tasks=[task(text, who)])


class Office(Flow[dict[str, Any]]):
    @start()
    def one(self) -> Any:
        result = small("Say {x}").kickoff(inputs={"x": self.state["x"]})
        note(result.token_usage.total_tokens)
        return result.raw

    @listen(one)
    def each(self, before: str) -> list[str]:
        results = small("Say {n} of {x}").kickoff_for_each([{"n": n, "x": before} for n in (1, 2)])
        return [one.raw for one in results]

    @listen(each)
    async def beside(self, before: list[str]) -> Any:
        return await small(f"Say {' and '.join(before)}").akickoff()
