"""An asyncio loop made at import, and used by a tool."""

import asyncio

from crewai import Crew
from crewai.tools import tool
from scripted import Scripted, agent, task

loop = asyncio.new_event_loop()


async def twice(number: int) -> int:
    first, second = await asyncio.gather(asyncio.sleep(0.02, number), asyncio.to_thread(int, number))
    return first + second


@tool("double")
def double(number: int) -> str:
    """Double it."""
    return str(loop.run_until_complete(asyncio.wait_for(twice(number), 20)))


who = agent("Clerk", Scripted(model="scripted", quiet=True), tools=[double])
crew = Crew(agents=[who], tasks=[task('Use double {"number": {number}}', who)])
