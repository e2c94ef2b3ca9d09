"""`support.caller` in a pod beside a crew."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from support import caller
from support.hotel import Hotel
from support.pods import restricted_pod
from support.waiting import wait_until


@contextmanager
def calling(hotel: Hotel, *, retries: bool = False) -> Iterator[Callable[[], int]]:
    """Somebody asks the crew all the time. What is given tells how many kickoffs ended, and fails if one failed.

    Args:
        retries: whoever is told 503 asks again, as Retry-After says.
    """
    program = Path(caller.__file__).read_text()
    command = ["python", "-c", program, f"http://{hotel.name}.{hotel.namespace}.svc:8000"]
    made = restricted_pod("caller", hotel.cluster.image("crew-runtime"), command, terminationGracePeriodSeconds=0)
    token = {"secretKeyRef": {"name": f"{hotel.name}-api-token", "key": "token"}}
    made["spec"]["containers"][0]["env"].append({"name": "CREW_TOKEN", "valueFrom": token})
    made["spec"]["containers"][0]["env"].append({"name": "CALLER_RETRIES", "value": "1" if retries else ""})
    hotel.kubectl("apply", "-f", "-", stdin=json.dumps(made))

    def look() -> int:
        said = str(hotel.kubectl("logs", "caller")).splitlines()
        failed = [one for one in said if not one.startswith("answered ")]
        assert failed == [], "\n".join(failed)  # pytest explains no assertion of a module outside its test files
        last = {one.split()[1]: int(one.split()[2]) for one in said}
        return min(last.get("new", 0), last.get("kept", 0))

    wait_until(lambda: (hotel.pod("caller") or {})["status"].get("phase") == "Running", "the caller runs", 60)
    wait_until(look, "the caller is answered", 120)
    try:
        yield look
    finally:
        hotel.kubectl("delete", "pod", "caller", "--wait=false")
