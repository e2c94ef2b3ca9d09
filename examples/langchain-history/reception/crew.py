"""A reception that keeps what was said in LangChain's message history, by its own code. It knows nothing of CrewOps.

The recipe is the one of LangChain's documentation: `RedisChatMessageHistory(session_id, url=...)`. A flow has its
session's id in `state.id`; the rest comes from the environment, which crewdeployment.yaml sets.
"""

import os

from crewai import Agent, Crew, Task
from crewai.flow.flow import Flow, start
from langchain_community.chat_message_histories import RedisChatMessageHistory
from langchain_core.messages import get_buffer_string
from pydantic import BaseModel

from reception.offline import OfflineLLM

LAST = 20
"""Messages that the crew gets to see."""


class State(BaseModel):
    """What a kickoff gives."""

    id: str = ""
    message: str = ""


class Reception(Flow[State]):
    """Input: `message`, what a guest says. Output: the reply, by what was said before."""

    @start()
    def reply(self) -> str:
        history = RedisChatMessageHistory(
            self.state.id,
            url=os.environ["HISTORY_URL"],
            key_prefix=os.environ["HISTORY_KEY_PREFIX"],
        )
        before = get_buffer_string(history.messages[-LAST:]) or "nothing"
        answer = str(_crew().kickoff(inputs={"message": self.state.message, "before": before}))
        # Both at the end: a kickoff that is started again after a loss has not written its turn yet.
        history.add_user_message(self.state.message)
        history.add_ai_message(answer)
        return answer


def _crew() -> Crew:
    llm = os.environ.get("RECEPTION_MODEL") or OfflineLLM(model="reception-offline")
    receptionist = Agent(
        role="Receptionist",
        goal="Answer guests by what they said before",
        backstory="You work at a hotel's reception and forget nothing that you were told.",
        llm=llm,
    )
    reply = Task(
        description="What was said before:\n{before}\n\nThe guest says: <message>{message}</message>\nReply.",
        expected_output="A reply in one sentence.",
        agent=receptionist,
    )
    return Crew(agents=[receptionist], tasks=[reply])
