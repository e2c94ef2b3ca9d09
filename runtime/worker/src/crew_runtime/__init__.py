"""The half of the runtime that lives in the crew's interpreter: it moves CrewAI's state to the shared backend.

Standard library and redis-py, with the user's own crewai; only `crew_runtime.crewai` imports that.
"""

__version__ = "0.1.0"
