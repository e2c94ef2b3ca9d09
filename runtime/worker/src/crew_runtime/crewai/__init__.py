"""The only room that imports crewai: its seams, and what it takes to load a crew and kick it off.

Importing a module of this room imports CrewAI, so nothing outside does it at the top of a module that runs before
telemetry is off.
"""
