"""An after_kickoff that makes of the result a model that is a list in JSON."""

from crewai import Crew
from pydantic import RootModel
from scripted import agent, task


class Rooms(RootModel[list[int]]):
    pass


who = agent()
crew = Crew(
    agents=[who],
    tasks=[task("Say [214, 215]", who)],
    after_kickoff_callbacks=[lambda result: Rooms.model_validate_json(result.raw)],
)
