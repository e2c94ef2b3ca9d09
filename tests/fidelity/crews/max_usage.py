"""A tool that may be used once."""

from crewai import Crew
from crewai.tools import tool
from scripted import agent, task


@tool("coupon", max_usage_count=1)
def coupon(code: str) -> str:
    """Redeem."""
    return f"{code} redeemed"


who = agent("Shopper", tools=[coupon])
crew = Crew(agents=[who], tasks=[task('Use coupon {"code": "{code}"}', who)])
