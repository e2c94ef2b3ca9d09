"""@human_feedback with outcomes that route the flow."""

from typing import Any

from crewai.flow.flow import Flow, listen, start
from crewai.flow.human_feedback import HumanFeedbackResult, human_feedback
from scripted import Scripted, note


class Sorting(Scripted):
    def filled(self, model: Any, messages: Any) -> Any:
        return model(outcome="rejected" if "dreadful" in str(messages) else "approved")

    def answer(self, messages: Any) -> str:
        return "rejected" if "dreadful" in str(messages) else "approved"


class Review(Flow[dict[str, Any]]):
    @start()
    @human_feedback(
        message="Good?", emit=["approved", "rejected"], llm=Sorting(model="sorting"), default_outcome="approved"
    )
    def draft(self) -> str:
        note("drafted")
        return f"a draft of {self.state['topic']}"

    @listen("approved")
    def publish(self, result: HumanFeedbackResult) -> str:
        return f"published {result.output}"

    @listen("rejected")
    def discard(self, result: HumanFeedbackResult) -> str:
        return f"discarded {result.output}: {result.feedback}"
