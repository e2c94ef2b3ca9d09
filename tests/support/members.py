"""A Redis of three members, as the status of the concierge tells of it."""

from typing import Any

from support.hotel import Hotel
from support.waiting import wait_until

MEMBERS = tuple(f"concierge-redis-{number}" for number in range(3))


def memory(hotel: Hotel) -> dict[str, Any]:
    """What the status says of the memory."""
    return dict((hotel.crew().get("status") or {}).get("memory") or {})


def wait_whole(hotel: Hotel, seconds: float = 90.0) -> str:
    """Until all three hold what is acknowledged. The primary's name."""
    hotel.wait_ready()
    return wait_until(
        lambda: str(memory(hotel).get("primary") or "") if memory(hotel).get("members") == "3 of 3" else "",
        "three members",
        seconds,
    )


def another_primary(hotel: Hotel, before: str) -> str:
    """Until there is one. Its name."""

    def look() -> str:
        found = str(memory(hotel).get("primary") or "")
        return found if found != before else ""

    return wait_until(look, "another primary", 60)
