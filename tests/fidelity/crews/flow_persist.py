"""A persisted flow with a typed state: the next kickoff of the session goes on."""

from crewai.flow.flow import Flow, listen, start
from crewai.flow.persistence import persist
from pydantic import BaseModel


class State(BaseModel):
    id: str = ""
    item: str = ""
    basket: list[str] = []


@persist()
class Shop(Flow[State]):
    @start()
    def add(self) -> None:
        self.state.basket.append(self.state.item)

    @listen(add)
    def show(self) -> str:
        return ", ".join(self.state.basket)
