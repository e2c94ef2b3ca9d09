"""Knowledge out of files in the folder where the crew runs."""

from crewai import Crew
from crewai.knowledge.source.json_knowledge_source import JSONKnowledgeSource
from crewai.knowledge.source.text_file_knowledge_source import TextFileKnowledgeSource
from scripted import EMBEDDER, Scripted, agent, note, task


class Reader(Scripted):
    def answer(self, messages: object) -> str:
        if "rewrite the user query" in str(messages):
            return "the menu has peanuts, the nuts are almonds"
        note([one for one in ("peanuts", "almonds") if one in str(messages)])
        return super().answer(messages)  # type: ignore[arg-type]


sources = [TextFileKnowledgeSource(file_paths=["menu.txt"]), JSONKnowledgeSource(file_paths=["nuts.json"])]
who = agent("Host", Reader(model="host"))
crew = Crew(
    agents=[who],
    tasks=[task("Which nuts does the menu have?\nSay read", who)],
    knowledge_sources=sources,
    embedder=EMBEDDER,
)
