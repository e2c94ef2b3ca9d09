"""A flow with a router that loops, or_, and_, and a typed state."""

from crewai.flow.flow import Flow, and_, listen, or_, router, start
from pydantic import BaseModel
from scripted import note


class State(BaseModel):
    topic: str = ""
    tries: int = 0
    log: list[str] = []


class Loop(Flow[State]):
    @start("again")
    def attempt(self) -> int:
        self.state.tries += 1
        self.state.log.append(f"try {self.state.tries} of {self.state.topic}")
        return self.state.tries

    @router(attempt)
    def judge(self, tries: int) -> str:
        note(f"judged {tries}")
        return "good" if tries >= 3 else "again"

    @listen("good")
    def left(self) -> str:
        return "left"

    @listen("good")
    async def right(self) -> str:
        return "right"

    @listen(and_(left, right))
    def both(self) -> str:
        self.state.log.append("both")
        return "both"

    @listen(or_("bad", both))
    def end(self) -> str:
        return f"{self.state.topic} after {self.state.tries}"
