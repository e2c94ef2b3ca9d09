"""Which pods a kubelet is to bring a changed Secret at once."""

from crew_operator import remount
from crew_operator.remount import AGAIN, AT_MOST


def test_a_pod_is_changed_once_a_while_and_only_so_often():
    asked, now, changed = {}, 100.0, []
    for _ in range(10 * AT_MOST):
        pods, asked = remount.due(["a"], "v2", asked, now)
        changed += [now] * len(pods)
        now += AGAIN / 2
    assert changed == [100.0 + AGAIN * n for n in range(AT_MOST)]
    assert remount.next_in(asked, now) is None


def test_another_version_and_another_pod_begin_anew():
    first, asked = remount.due(["a"], "v2", {}, 100.0)
    second, asked = remount.due(["a", "b"], "v2", asked, 101.0)
    third, asked = remount.due(["b"], "v3", asked, 102.0)
    assert (first, second, third) == (["a"], ["b"], ["b"])
    assert list(asked) == ["b"], "a uses the newest, and is forgotten"
    assert remount.next_in(asked, 102.0) == AGAIN


def test_nothing_is_outdated():
    assert remount.due([], "v2", {}, 100.0) == ([], {})
    assert remount.next_in({}, 100.0) is None
