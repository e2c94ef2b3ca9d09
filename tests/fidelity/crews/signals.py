"""A tool that sets a signal handler and an alarm of its own, as some timeout helpers do."""

import signal
import threading

from crewai import Crew
from scripted import agent, note, task


def crew() -> Crew:
    note(threading.current_thread() is threading.main_thread())
    note([signal.getsignal(one) == signal.SIG_DFL for one in (signal.SIGALRM, signal.SIGUSR1, signal.SIGPIPE)])
    rang: list[int] = []
    signal.signal(signal.SIGALRM, lambda *_: rang.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    while not rang:
        signal.pause()
    note("rang")
    who = agent()
    return Crew(agents=[who], tasks=[task("Say on time", who)])
