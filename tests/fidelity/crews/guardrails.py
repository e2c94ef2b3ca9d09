"""Several guardrails, one of them a sentence that an LLM judges."""

from typing import Any

from crewai import Crew
from scripted import Scripted, agent, note, task


class Judge(Scripted):
    def filled(self, model: Any, messages: Any) -> Any:
        note("judged")
        return model(valid=True, feedback=None)

    def answer(self, messages: Any) -> str:
        text = str(messages)
        if "Guardrail" in text or "guardrail" in text:
            note("judged")
            return 'Thought: fine.\nFinal Answer: {"valid": true, "feedback": null}'
        return super().answer(messages)


def louder(output: Any) -> tuple[bool, Any]:
    return True, f"{output.raw}!"


who = agent(llm=Judge(model="judge"))
crew = Crew(agents=[who], tasks=[task("Say one", who, guardrails=[louder, "It has to be polite", louder])])
