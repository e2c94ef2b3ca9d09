"""A module that builds a Flow while it is imported: CrewAI's event bus starts its threads."""

from crewai.flow.flow import Flow, start

from support.user_crews import plain


class Early(Flow):  # type: ignore[type-arg]
    @start()
    def begin(self) -> str:
        return "early"


early = Early()
crew = plain.make()
