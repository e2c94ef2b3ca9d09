"""A streaming crew, and the chunks that a listener sees."""

from typing import Any

from crewai import Crew
from crewai.events import BaseEventListener, LLMStreamChunkEvent
from crewai.events.event_bus import crewai_event_bus
from crewai.events.types.llm_events import LLMCallType
from scripted import Scripted, agent, note, task


class Streaming(Scripted):
    def answer(self, messages: Any) -> str:
        for chunk in ("Thought: I ", "know.\nFinal Answer: ", "piece by piece"):
            crewai_event_bus.emit(
                self, LLMStreamChunkEvent(chunk=chunk, call_id="c", response_id="r", call_type=LLMCallType.LLM_CALL)
            )
        return "Thought: I know.\nFinal Answer: piece by piece"


class Listener(BaseEventListener):
    def setup_listeners(self, bus: Any) -> None:
        @bus.on(LLMStreamChunkEvent)
        def chunk(source: Any, event: Any) -> None:
            note(f"chunk {event.chunk}")


listener = Listener()
who = agent(llm=Streaming(model="streaming"))
crew = Crew(agents=[who], tasks=[task("Stream", who)], stream=True)
