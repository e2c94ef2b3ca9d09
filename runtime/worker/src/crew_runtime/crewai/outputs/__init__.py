"""What CrewAI and the user's code gave or raised -> JSON's types and text. Pure."""
