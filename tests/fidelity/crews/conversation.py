"""A conversational flow: what was said before is known in the next turn of the session."""

from crewai.flow import Flow
from crewai.flow.conversational import ConversationConfig, ConversationState
from crewai.flow.persistence import persist


@persist()
@ConversationConfig()
class Talk(Flow[ConversationState]):
    def converse_turn(self) -> str:
        return "; ".join(str(one.content) for one in self.state.messages if one.role == "user")
