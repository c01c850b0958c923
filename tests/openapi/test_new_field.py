"""An optional field in the contract and `make generate` are all that it takes: nothing else is edited here."""

import json
from pathlib import Path

from tests import fake_servers

WALK = Path(__file__).with_name("new_field_walk.py")
AFTER = "        clusterId:\n"
FIELD = """\
        gpuCount:
          description: How many GPUs of the machine to use
          type: integer
          minimum: 1
        notBefore:
          description: When to start
          type: string
          format: date-time
        logo:
          description: A picture
          type: string
          format: binary
"""


def test_an_optional_field_needs_an_edit_and_make_generate(new_copy, flaky):
    """It is accepted, documented, sent, refused where wrong by client and server, and shown on the experiment."""
    project = new_copy()
    text = project.contract.read_text(encoding="utf-8")
    assert text.count(AFTER) == 1
    project.contract.write_text(text.replace(AFTER, FIELD + AFTER), encoding="utf-8")
    assert project.generate().returncode == 0

    flaky.plan = [fake_servers.status(200, {"handle": "esxfbgzu7xanst"})]
    done = project.run(str(WALK), "gpu_count", "gpuCount", "2", '"two"', flaky.url)
    assert not done.returncode, done.stderr
    seen = json.loads(done.stdout)

    assert all(Path(file).is_relative_to(project.root) for file in seen["files"])
    assert json.loads(flaky.requests[0].body)["gpuCount"] == 2
    assert seen["refusal"] == "create_single_node(): gpu_count: must be an int, not str"
    assert len(flaky.requests) == 1
    for text in seen["help"]:
        assert ":param int gpu_count: How many GPUs of the machine to use\n" in text
    assert seen["annotations"] == ["gpu_count: int | None = None"] * 2
    assert seen["good"][0] == 200
    status, error = seen["bad"]
    assert status == 400
    assert list(error["details"]) == ["gpuCount"]
    shown, absent, printed = seen["shown"]
    assert (shown, absent) == (2, None)
    assert "gpu_count=2" in printed

    # Texts with a format are sent as they are given.
    required = dict.fromkeys(("name", "projectHandle", "machineType", "command", "container"), "x")
    body = {**required, "experimentTypeId": 1, "notBefore": "2030-01-01T00:00:00Z", "logo": "x"}
    assert project.evaluate("gradient_api.models as m", f"m.SingleNodeRequest.from_dict({body}).to_dict()") == body
