"""The processes of the worker half: the zygote, its trial child, the slots and the prober.

Here live processes, signals, sockets and limits. What a crew is and how one is kicked off lives in
`crew_runtime.crewai`; what its state is kept in, in `crew_runtime.memory` and `guard`. Started by
`python -m crew_runtime.worker`, never by path: the package `crewai` beside this one would shadow the real one.
"""
