"""What turns wishes into pods: Deployments, ReplicaSets, StatefulSets, Services, claims, disruption budgets.

Each module has a pure `plan` (objects, time) -> actions; `manager` gathers the objects and carries the actions out.
"""
