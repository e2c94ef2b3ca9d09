"""A gRPC channel that was used at import."""

import os

import grpc
from crewai import Crew
from crewai.tools import tool
from scripted import Scripted, agent, task

channel = grpc.insecure_channel(os.environ["FIDELITY_GRPC"])
say = channel.unary_unary("/Echo/Say")
say(b"warm", timeout=20)


@tool("call")
def call(number: int) -> str:
    """Call, and see that each answer is its question's."""
    asked = [f"{number}-{os.getpid()}-{count}".encode() for count in range(5)]
    return "all right" if [say(one, timeout=20) for one in asked] == asked else "others' answers"


who = agent("Clerk", Scripted(model="scripted", quiet=True), tools=[call])
crew = Crew(agents=[who], tasks=[task('Use call {"number": {number}}', who)])
