"""The judges do object: to a contract, a request, an answer and recorded traffic that are wrong on purpose."""

import httpx
from contract import KEY_HEADER, SPEC_PATH
from drift import compared
from node import HERE, run
from prism import judging
from recording import Recorder
from violations import violations

LIST = "/experiments/v1/experiments/"
KEY = {KEY_HEADER: "a-key"}
NO_LIST = {"data": 7}


def test_to_a_contract(tmp_path):
    """In which two operations have one name."""
    spoilt = tmp_path / SPEC_PATH.name
    text = SPEC_PATH.read_text(encoding="utf-8")
    spoilt.write_text(text.replace("operationId: stopExperiment", "operationId: startExperiment"), encoding="utf-8")
    done = run("redocly", "lint", spoilt, "--config", HERE / "redocly.yaml")
    assert done.returncode == 1
    assert "operation-operationId-unique" in done.stdout + done.stderr


def test_to_requests_and_answers(scripted):
    """Prism lets no wrong request through, and no wrong answer back."""
    exchanges = []
    with judging("objections", scripted.url, requests=True) as ways, Recorder(ways, exchanges) as recorder:
        httpx.get(recorder.url + LIST, params={"limit": "many"}, headers=KEY)
        assert scripted.requests == []
        scripted.say(200, NO_LIST)
        httpx.get(recorder.url + LIST, headers=KEY)
        httpx.get(recorder.url + LIST.rstrip("/"), headers=KEY)
    request, answer, place = ("\n".join(violations([exchange])) for exchange in exchanges)
    assert "query.limit" in request
    assert "response.body.data" in answer
    assert "no path matched" in place


def test_to_recorded_traffic(scripted):
    """Redocly sees a wrong answer and a parameter that nobody has declared."""
    exchanges = []
    with Recorder({"": scripted.url}, exchanges) as recorder:
        scripted.say(200, NO_LIST)
        httpx.get(recorder.url + LIST, params={"colour": "red"}, headers=KEY)
    answer, parameter = sorted(compared("objections", exchanges).problems)
    assert '"data" must be array' in answer
    assert '"colour"' in parameter
