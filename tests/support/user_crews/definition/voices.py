"""What the definition refers to: a definition may name Python of its own folder, and no other."""

from support.user_crews.plain import EchoLLM

echo = EchoLLM(model="echo")
