"""A thread pool and a queue's thread started at import."""

import queue
import threading
from concurrent.futures import ThreadPoolExecutor

from crewai import Crew
from crewai.tools import tool
from scripted import Scripted, agent, task

pool = ThreadPoolExecutor(4)
list(pool.map(str, range(8)))
asked: "queue.Queue[tuple[int, queue.Queue[int]]]" = queue.Queue()


def serve() -> None:
    while True:
        number, answer = asked.get()
        answer.put(number + 1)


threading.Thread(target=serve, daemon=True).start()


@tool("square")
def square(number: int) -> str:
    """By the pool, then by the thread."""
    done = pool.submit(pow, number, 2).result(20)
    answer: queue.Queue[int] = queue.Queue()
    asked.put((done, answer))
    return str(answer.get(timeout=20))


who = agent("Clerk", Scripted(model="scripted", quiet=True), tools=[square])
crew = Crew(agents=[who], tasks=[task('Use square {"number": {number}}', who)])
