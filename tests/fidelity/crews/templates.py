"""Prompt templates of the author's own, a prompt file and stop words."""

from crewai import Crew
from scripted import Scripted, agent, note, task


class Watching(Scripted):
    def answer(self, messages: object) -> str:
        note([one for one in ("<<SYSTEM", "<<PROMPT", "a house rule") if one in str(messages)])
        return super().answer(messages)  # type: ignore[arg-type]


who = agent(
    llm=Watching(model="watching", stop=["STOP"]),
    system_template="<<SYSTEM {{ .System }}",
    prompt_template="<<PROMPT {{ .Prompt }}",
    response_template="<<ANSWER {{ .Response }}",
)
crew = Crew(agents=[who], tasks=[task("Say templated", who)])
