"""Hooks around calls of LLMs and tools, registered at import."""

from typing import Any

from crewai import Crew
from crewai.hooks import after_llm_call, after_tool_call, before_llm_call, before_tool_call
from crewai.tools import tool
from scripted import agent, note, task


@tool("ping")
def ping(word: str) -> str:
    """Ping."""
    return f"pong {word}"


@before_tool_call
def upper(context: Any) -> None:
    note(f"before the tool {context.tool_name}")
    context.tool_input["word"] = context.tool_input["word"].upper()


@after_tool_call
def longer(context: Any) -> str:
    return f"{context.tool_result} hooked"


@before_llm_call
def count(context: Any) -> None:
    note(f"before the LLM {context.iterations}")


@after_llm_call
def mark(context: Any) -> Any:
    note("after the LLM")
    return context.response.replace("pong", "PONG")


who = agent(tools=[ping])
crew = Crew(agents=[who], tasks=[task('Use ping {"word": "{word}"}', who)])
