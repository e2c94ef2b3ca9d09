"""Crews and flows of which no kickoff can work, though each can be built."""

import sys
from typing import Any

from crewai import LLM, Crew, Process
from crewai.knowledge.source.string_knowledge_source import StringKnowledgeSource
from crewai.llms.base_llm import BaseLLM

from support.rehearsed.effects import Mail, OwnLLM
from support.rehearsed.embedding import Own
from support.rehearsed.working import one_agent, one_task


def no_key() -> Crew:
    who = one_agent(llm=LLM(model="openai/gpt-4o-mini"))
    return Crew(agents=[who], tasks=[one_task(who)])


def no_key_for_planning() -> Crew:
    who = one_agent()
    return Crew(agents=[who], tasks=[one_task(who)], planning=True)


def manager_with_tools() -> Crew:
    boss = one_agent(role="Boss", tools=[Mail()])
    return Crew(agents=[one_agent()], tasks=[one_task(None)], process=Process.hierarchical, manager_agent=boss)


class Half(BaseLLM):
    """Its author forgot that CrewAI asks it more than `call`."""

    def call(self, messages: Any, *_: Any, **__: Any) -> str:
        """Never called here."""
        return "Final Answer: fine"

    def supports_function_calling(self) -> bool:
        """Broken."""
        return self.client.has_tools  # type: ignore[attr-defined,no-any-return]


def unfinished_llm() -> Crew:
    who = one_agent(llm=Half(model="half"))
    return Crew(agents=[who], tasks=[one_task(who)])


def person_in_an_asynchronous_task() -> Crew:
    who = one_agent()
    return Crew(agents=[who], tasks=[one_task(who), one_task(who, human_input=True, async_execution=True)])


def knowledge_without_an_embedder() -> Crew:
    class Never(Own):
        def __init__(self) -> None:
            raise ValueError("no model at /models/none")

    unusable = {"provider": "custom", "config": {"embedding_callable": Never}}
    who = one_agent(knowledge_sources=[StringKnowledgeSource(content="Breakfast is at eight.")])
    return Crew(agents=[who], tasks=[one_task(who)], embedder=unusable)


def memory_without_an_embedder() -> Crew:
    who = one_agent()
    return Crew(agents=[who], tasks=[one_task(who)], memory=True)


def process_ended() -> Crew:
    class Leaving(OwnLLM):
        def get_context_window_size(self) -> int:
            sys.exit("no licence")

    who = one_agent(llm=Leaving(model="leaving"))
    return Crew(agents=[who], tasks=[one_task(who)])
