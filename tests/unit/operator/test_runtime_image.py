from copy import deepcopy

from crew_operator import desired
from crew_operator.api import parse
from crew_operator.desired import runtime_image
from crew_operator.desired.runtime_image import Rollout
from support.crews import crew_manifest

OLD = desired.Inputs(runtime_image="runtime:1", redis_image="redis:8", redis_password="p")
NEW = desired.Inputs(runtime_image="runtime:2", redis_image="redis:8", redis_password="p")


def crew(**spec):
    return parse.crew_deployment(crew_manifest(uid="u", **spec))


NOTHING = Rollout()


def recorded(of):
    """As the status says it of a crew that was rolled out by the old operator."""
    return runtime_image.recorded({"crew": runtime_image.rollout(live(of)).shown()})


def live(of):
    return deepcopy(desired.children(of, OLD)[-1])


def test_new_crew_gets_the_operators():
    assert runtime_image.chosen(crew(), NEW, NOTHING, None) is NEW


def test_crew_that_asks_for_nothing_keeps_its_own():
    assert runtime_image.chosen(crew(), NEW, NOTHING, live(crew())).runtime_image == "runtime:1"


def test_more_replicas_are_no_other_pods():
    assert runtime_image.chosen(crew(replicas=5), NEW, NOTHING, live(crew(replicas=1))).runtime_image == "runtime:1"


def test_restart_by_kubectl_is_no_wish_for_another_runtime():
    restarted = live(crew())
    restarted["spec"]["template"]["metadata"]["annotations"] = {"kubectl.kubernetes.io/restartedAt": "now"}
    assert runtime_image.chosen(crew(), NEW, NOTHING, restarted).runtime_image == "runtime:1"


def test_own_rollout_brings_the_operators():
    changed = crew(crew={"image": "registry.example/concierge:2", "entrypoint": "concierge.crew:Concierge"})
    assert runtime_image.chosen(changed, NEW, NOTHING, live(crew())).runtime_image == "runtime:2"


def test_named_image_is_taken_at_once():
    named = {"image": "registry.example/concierge:1", "entrypoint": "a.b:C", "runtime": {"image": "runtime:3"}}
    assert runtime_image.chosen(crew(crew=named), NEW, NOTHING, live(crew())).runtime_image == "runtime:3"


def test_deployment_without_our_sidecar_is_made_anew():
    foreign = live(crew())
    foreign["spec"]["template"]["spec"]["initContainers"] = []
    assert runtime_image.chosen(crew(), NEW, NOTHING, foreign) is NEW


def test_what_the_status_says_holds_whatever_somebody_did_to_the_deployment():
    edited = live(crew())
    (server,) = (one for one in edited["spec"]["template"]["spec"]["initContainers"] if one["name"] == "server")
    server["image"] = "elsewhere/runtime:1"
    assert runtime_image.chosen(crew(), NEW, recorded(crew()), edited).runtime_image == "runtime:1"
    assert runtime_image.chosen(crew(), NEW, recorded(crew()), None).runtime_image == "runtime:1"


def test_a_variable_that_somebody_edited_brings_no_other_runtime():
    edited = live(crew())
    edited["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] = "edited"
    assert runtime_image.chosen(crew(), NEW, recorded(crew()), edited).runtime_image == "runtime:1"


def test_own_rollout_brings_the_operators_whatever_the_status_says():
    changed = crew(crew={"image": "registry.example/concierge:2", "entrypoint": "concierge.crew:Concierge"})
    assert runtime_image.chosen(changed, NEW, recorded(crew()), live(crew())).runtime_image == "runtime:2"
    assert runtime_image.chosen(crew(replicas=5), NEW, recorded(crew(replicas=1)), None).runtime_image == "runtime:1"
