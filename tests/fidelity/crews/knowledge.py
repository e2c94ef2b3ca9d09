"""Knowledge of the crew and of an agent, found by what the task asks."""

from crewai import Crew
from crewai.knowledge.source.string_knowledge_source import StringKnowledgeSource
from scripted import EMBEDDER, Scripted, agent, note, task


class Reader(Scripted):
    def answer(self, messages: object) -> str:
        if "rewrite the user query" in str(messages):
            return "the pool opens at seven, the sauna is in the cellar"
        text = str(messages)
        note([one for one in ("opens at seven", "is in the cellar") if one in text])
        return super().answer(messages)  # type: ignore[arg-type]


pool = StringKnowledgeSource(content="The pool opens at seven.")
sauna = StringKnowledgeSource(content="The sauna is in the cellar.")
who = agent("Host", Reader(model="host"), knowledge_sources=[sauna], embedder=EMBEDDER)
crew = Crew(
    agents=[who],
    tasks=[task("When does the pool open?\nSay read", who), task("Where is the sauna?\nSay read", who)],
    knowledge_sources=[pool],
    embedder=EMBEDDER,
)
