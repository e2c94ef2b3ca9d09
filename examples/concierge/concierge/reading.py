"""What the offline LLM understands of a text: statements, questions, subjects, the memories in a prompt.

Text in, text out. Meaning comes from the embedding model, so that a question in other words finds its answer.
"""

import re
from functools import cache

from concierge import minilm

SUBJECTS = {
    "food": "food, meals, dishes, the kitchen, the restaurant, drinks, diet, allergies",
    "pets": "pets, dogs, cats and other animals",
    "travel": "travel, transport, arrival, departure, time",
    "occasions": "birthdays, weddings, anniversaries, celebrations",
    "the room": "the room, its bed, view, floor, pillows, noise",
    "the person": "name, family, job, home, contact, language",
}
SUBJECT_FOUND = 0.25
"""Least similarity of a text to its subject; measured: questions that fit none of them stay below 0.23."""
SAME_SUBJECT = 0.3
"""What a shared subject adds to the similarity of a question and a fact."""
ANSWERS = 0.35
"""Least score of a fact that answers a question; measured: unrelated pairs stay below 0.25."""
CLOSE = 0.1
"""Facts that score this close to the best one belong to the answer."""

_SENTENCE = re.compile(r"[^.!?\n]*\d\.\d[^.!?\n]*[.!?]*|[^.!?\n]+[.!?]*")
_ASKING = re.compile(
    r"(what|which|who|whom|whose|where|when|why|how|do|does|did|is there|are there|tell me)\b", re.IGNORECASE
)
_MEMORY = re.compile(r"^- \(score=-?[\d.]+\) (.+)$", re.MULTILINE)
_MEMORIES = "# Memories from past conversations:"
_SAID = re.compile(r"^On [a-z ]+, the guest said: ")


def statements(text: str) -> list[str]:
    """The sentences that state something."""
    return [one for one in _sentences(text) if not is_question(one)]


def questions(text: str) -> list[str]:
    """The sentences that ask something."""
    return [one for one in _sentences(text) if is_question(one)]


def is_question(sentence: str) -> bool:
    return sentence.endswith("?") or bool(_ASKING.match(sentence))


def memories(prompt: str) -> list[str]:
    """What CrewAI's memory brought into the prompt, best first; without what a fact is introduced by."""
    _, found, section = prompt.partition(_MEMORIES)
    return [_SAID.sub("", line) for line in _MEMORY.findall(section)] if found else []


def as_memory(statement: str) -> str:
    """A statement as a memory that is understood by itself."""
    return f"On {subject(statement) or 'themselves'}, the guest said: {statement}"


@cache
def subject(text: str) -> str | None:
    """What a text is about, or None when it is about nothing that a hotel knows of."""
    scores = {name: minilm.similarity(text, words) for name, words in SUBJECTS.items()}
    best = max(scores, key=lambda name: scores[name])
    return best if scores[best] >= SUBJECT_FOUND else None


def answer(question: str, facts: list[str]) -> list[str]:
    """Those of the facts that answer the question, the best one first; none when none of them does."""
    scored = sorted(((_fit(question, fact), fact) for fact in dict.fromkeys(facts)), reverse=True)
    least = max(ANSWERS, scored[0][0] - CLOSE) if scored else ANSWERS
    return [fact for score, fact in scored if score >= least]


def _fit(question: str, fact: str) -> float:
    about = subject(question)
    bonus = SAME_SUBJECT if about is not None and about == subject(fact) else 0.0
    return minilm.similarity(question, fact) + bonus


def _sentences(text: str) -> list[str]:
    return [one.strip() for one in _SENTENCE.findall(text) if one.strip(" .!?")]
