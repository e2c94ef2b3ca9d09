"""What is said about a CrewDeployment: observed facts -> conditions and status. Pure: the clock is an argument.

A look that failed is a fact too. Nothing here claims more than was seen: what was not seen is Unknown.
"""
