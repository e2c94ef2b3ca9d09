"""output_pydantic with an Enum, dates, a Decimal, a UUID and a nested model: what CrewAI can write."""

import datetime
import decimal
import enum
import json
import uuid

from crewai import Crew
from pydantic import BaseModel
from scripted import Fixed, agent, task


class Urgency(enum.Enum):
    HIGH = "high"


class Room(BaseModel):
    number: int
    tags: list[str]


class Ticket(BaseModel):
    urgency: Urgency
    at: datetime.datetime
    day: datetime.date
    price: decimal.Decimal
    key: uuid.UUID
    room: Room


TOLD = {
    "urgency": "high",
    "at": "2026-03-04T05:06:07Z",
    "day": "2026-03-04",
    "price": "12.30",
    "key": "12345678-1234-5678-1234-567812345678",
    "room": {"number": 214, "tags": ["quiet"]},
}
who = agent("Clerk", Fixed(model="fixed", says=json.dumps(TOLD)))
crew = Crew(agents=[who], tasks=[task("File a ticket", who, output_pydantic=Ticket)])
