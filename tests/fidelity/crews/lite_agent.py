"""A function that returns a flow whose steps kick off an agent alone, with and without a response format."""

from typing import Any

from crewai.flow.flow import Flow, listen, start
from pydantic import BaseModel
from scripted import Fixed, agent


class Answer(BaseModel):
    text: str
    score: float


class Asking(Flow[dict[str, Any]]):
    @start()
    def plainly(self) -> str:
        return str(agent("Clerk").kickoff("Say plain").raw)

    @listen(plainly)
    async def typed(self, before: str) -> dict[str, Any]:
        who = agent("Typist", Fixed(model="typist", says='{"text": "typed", "score": 0.5}'))
        answer = await who.kickoff_async("Type", response_format=Answer)
        return {"before": before, "answer": answer.pydantic}


def flow() -> Asking:
    return Asking()
