"""Database connections opened at import: SQLite in a file, and Redis over TCP with a pool."""

import os
import sqlite3

import redis
from crewai import Crew
from crewai.tools import tool
from scripted import Scripted, agent, task

kept = sqlite3.connect("kept.db", check_same_thread=False, timeout=20)
kept.execute("create table if not exists numbers (number integer)")
kept.commit()
store = redis.Redis.from_url(os.environ["FIDELITY_REDIS"], socket_timeout=20, single_connection_client=True)
store.ping()


@tool("keep")
def keep(number: int) -> str:
    """Write and read it in both."""
    mine = os.getpid() + number
    with kept:
        kept.execute("insert into numbers values (?)", (mine,))
    (found,) = kept.execute("select max(number) from numbers where number = ?", (mine,)).fetchone()
    asked = [f"{mine}-{count}" for count in range(5)]
    return "all right" if (found, [store.echo(one).decode() for one in asked]) == (mine, asked) else "others' rows"


who = agent("Clerk", Scripted(model="scripted", quiet=True), tools=[keep])
crew = Crew(agents=[who], tasks=[task('Use keep {"number": {number}}', who)])
