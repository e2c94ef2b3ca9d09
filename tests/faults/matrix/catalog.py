"""All faults, in the order of the table."""

from faults.matrix import cluster_entries, crew_entries, edit_entries, redis_entries
from faults.matrix.fault import Fault

ENTRIES: tuple[Fault, ...] = (
    *redis_entries.ENTRIES,
    *crew_entries.ENTRIES,
    *cluster_entries.ENTRIES,
    *edit_entries.ENTRIES,
)


def chosen(names: list[str]) -> list[Fault]:
    """Those of these names; all without any. Raises KeyError with the names that there are not."""
    known = {one.name: one for one in ENTRIES}
    if unknown := [name for name in names if name not in known]:
        raise KeyError(f"there is no fault {', '.join(unknown)}; there are: {', '.join(known)}")
    return [known[name] for name in names] if names else list(ENTRIES)
