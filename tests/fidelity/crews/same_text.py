"""Two tasks of the same text; the third is given the second's output, the fourth the first's."""

from crewai import Crew
from scripted import Fixed, agent, task

one = agent("Writer", Fixed(model="one", says="the first draft"))
two = agent("Writer", Fixed(model="two", says="the second draft"))
last = agent("Editor")
first, second = task("Write a draft", one), task("Write a draft", two)
crew = Crew(
    agents=[one, two, last],
    tasks=[
        first,
        second,
        task("Say edited\nRepeat the context", last, context=[second]),
        task("Say checked\nRepeat the context", last, context=[first]),
    ],
)
