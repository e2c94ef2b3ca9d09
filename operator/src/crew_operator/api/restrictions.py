"""What `--restrict-templates` refuses: for clusters whose tenants may create CrewDeployments, and no pods of their own.

Whoever writes a pod's template reaches what the pod reaches. The rules are those of Kubernetes' Pod Security Standard
"restricted" for the fields that a CrewDeployment has, and what a namespace's label cannot ask for: other accounts,
metadata that other controllers obey, all taints, and the keys of other namespaces on a Redis that they share.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from crew_operator.api.spec import CrewDeployment, Template
from crew_operator.errors import Problem
from crew_operator.settings import Restrictions

_VOLUMES = frozenset(
    {"configMap", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
)
"""Of the standard, without inline CSI volumes: what those reach is their driver's to say."""
_CONTEXT = frozenset(
    {
        "appArmorProfile",
        "fsGroup",
        "fsGroupChangePolicy",
        "runAsGroup",
        "runAsNonRoot",
        "runAsUser",
        "seLinuxOptions",
        "seccompProfile",
        "supplementalGroups",
        "supplementalGroupsPolicy",
    }
)
"""Fields of a pod's security context that can be set without loosening it; some to some values only."""
_PROFILES = ("RuntimeDefault", "Localhost")
_NODE_ROLES = "node-role.kubernetes.io/"
_IN_TEMPLATE = "spec.template"


def problems(crew: CrewDeployment, allowed: Restrictions) -> tuple[Problem, ...]:
    """Each thing that this spec may not ask for, with the path of its field; empty when there is none."""
    template = crew.spec.template
    return (
        *_volumes(template),
        *_account(template, allowed),
        *_security_context(template.security_context),
        *_tolerations(template),
        *_metadata(template, allowed),
        *_prefix(crew),
    )


def _refused(path: str, what: str) -> Problem:
    return Problem(path, f"{what}: this operator restricts templates")


def _volumes(template: Template) -> Iterator[Problem]:
    for index, volume in enumerate(template.volumes):
        path = f"{_IN_TEMPLATE}.volumes[{index}]"
        for kind in sorted(set(volume) - {"name"} - _VOLUMES):
            yield _refused(f"{path}.{kind}", f"take {', '.join(sorted(_VOLUMES))}, not {kind}")
        if template.service_account_name is None:
            yield from _projected(volume.get("projected"), f"{path}.projected")


def _projected(projected: Any, path: str) -> Iterator[Problem]:
    """The token of the account `default`, past the rule that a crew has none."""
    sources = projected.get("sources") if isinstance(projected, Mapping) else None
    for index, source in enumerate(sources if isinstance(sources, list) else ()):
        if isinstance(source, Mapping) and "serviceAccountToken" in source:
            where = f"{path}.sources[{index}].serviceAccountToken"
            yield _refused(where, "remove it, or set a serviceAccountName that is allowed")


def _account(template: Template, allowed: Restrictions) -> Iterator[Problem]:
    name = template.service_account_name
    if name is not None and name not in allowed.service_accounts:
        instead = f"take {' or '.join(allowed.service_accounts)}, or none" if allowed.service_accounts else "remove it"
        yield _refused(f"{_IN_TEMPLATE}.serviceAccountName", instead)


def _security_context(context: Mapping[str, Any]) -> Iterator[Problem]:
    path = f"{_IN_TEMPLATE}.securityContext"
    for name in sorted(set(context) - _CONTEXT):
        yield _refused(f"{path}.{name}", "remove it")
    user = context.get("runAsUser")
    if user is not None and (not isinstance(user, int) or isinstance(user, bool) or user < 1):
        yield _refused(f"{path}.runAsUser", "take a user other than 0")
    # null would take the default away: it is laid over it as it is
    if "runAsNonRoot" in context and context["runAsNonRoot"] is not True:
        yield _refused(f"{path}.runAsNonRoot", "take true, or remove it")
    for name in ("seccompProfile", "appArmorProfile"):
        if name in context and _of(context[name], "type") not in _PROFILES:
            yield _refused(f"{path}.{name}.type", f"take {' or '.join(_PROFILES)}")
    options = context.get("seLinuxOptions")
    for name in sorted(set(options if isinstance(options, Mapping) else ()) - {"level"}):
        yield _refused(f"{path}.seLinuxOptions.{name}", "remove it")


def _tolerations(template: Template) -> Iterator[Problem]:
    for index, one in enumerate(template.tolerations):
        key = one.get("key") or ""
        if not key:
            yield _refused(f"{_IN_TEMPLATE}.tolerations[{index}]", "name the key of a taint, not all of them")
        elif str(key).startswith(_NODE_ROLES):
            yield _refused(f"{_IN_TEMPLATE}.tolerations[{index}].key", f"take one that is no {_NODE_ROLES}")


def _metadata(template: Template, allowed: Restrictions) -> Iterator[Problem]:
    """Services, policies, cloud identities and injectors choose pods by these."""
    for field, told in (("labels", template.labels), ("annotations", template.annotations)):
        for key in sorted(told):
            if not any(_covers(one, key) for one in allowed.metadata):
                keys = f"take {', '.join(allowed.metadata)} only" if allowed.metadata else "remove it"
                yield _refused(f"{_IN_TEMPLATE}.{field}.{key}", keys)


def _covers(one: str, key: str) -> bool:
    return key.startswith(one[:-1]) if one.endswith("/*") else key == one


def _prefix(crew: CrewDeployment) -> Iterator[Problem]:
    own = f"{crew.namespace}/"
    if not crew.key_prefix.startswith(own):
        yield _refused("spec.memory.keyPrefix", f"begin it with {own}")


def _of(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None
