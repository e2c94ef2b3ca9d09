import asyncio

import pytest

from localcluster.node import probes


@pytest.mark.parametrize("probe", [{"httpGet": {}}, {"httpGet": {"port": {}}}, {"tcpSocket": {"port": None}}, {}])
def test_a_probe_that_makes_no_sense_is_one_that_fails(probe):
    """One that raised would end with nobody to hear of it, and its container would stay as it is."""
    place = probes.Place(address="127.0.0.1", ports={}, env={}, cwd="/")
    answer = asyncio.run(probes.ask(probe, place))
    assert not answer.ok
    assert answer.message
