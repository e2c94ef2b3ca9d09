"""An LLM that needs no key and invents nothing: it repeats what the guest said before."""

import re
from typing import Any

from crewai.llms.base_llm import BaseLLM


class OfflineLLM(BaseLLM):
    """Answers with the guest's earlier messages in its prompt."""

    def call(self, messages: Any, *_: Any, **__: Any) -> Any:
        text = messages if isinstance(messages, str) else "\n".join(str(one["content"]) for one in messages)
        said = re.findall(r"^Human: (.*)$", text, re.MULTILINE)
        answer = f"You told us: {' '.join(said)}" if said else "Welcome."
        return f"Thought: I know.\nFinal Answer: {answer}"
