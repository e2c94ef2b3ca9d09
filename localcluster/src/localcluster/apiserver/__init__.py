"""An API server in this process: enough of Kubernetes for Kopf, `kubernetes` and a stock kubectl.

Pure, no IO: `schema`, `fields`, `apply`, `patch`, `selectors`, `defaults`, `validation`, `cel`, `tables`, `gc`.
In memory: `store`, `kinds`, `registry` (the verbs). Over HTTP: `discovery`, `watch`, `routes`, `server`.
"""

from localcluster.apiserver.server import ApiServer

__all__ = ["ApiServer"]
