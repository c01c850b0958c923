"""A new operation takes the contract, `make generate`, one method of the asynchronous client and one handler."""

import json
import shutil
from pathlib import Path

from tests.openapi.conftest import PROJECT

WALK = Path(__file__).with_name("new_operation_walk.py")
OPERATION = """\
    patch:
      operationId: updateExperiment
      tags: [experiments]
      summary: Change the name of an experiment.
      requestBody:
        required: true
        content:
          application/json:
            schema: { $ref: "#/components/schemas/ExperimentChanges" }
      responses:
        "200":
          description: The experiment as it is now.
          content:
            application/json:
              schema: { $ref: "#/components/schemas/ExperimentAnswer" }
              examples: { single: { $ref: "#/components/examples/SingleNodeAnswer" } }
        "400": { $ref: "#/components/responses/InvalidRequest" }
        "403": { $ref: "#/components/responses/Forbidden" }
        "404": { $ref: "#/components/responses/NotFound" }
        "413": { $ref: "#/components/responses/TooLarge" }
        "415": { $ref: "#/components/responses/UnsupportedMediaType" }
"""
BEFORE_THE_OPERATION = """\
    delete:
      operationId: deleteExperiment
"""
SCHEMA = """\
    ExperimentChanges:
      type: object
      properties:
        name: { type: string, minLength: 1, description: The new name. }
      required: [name]
"""
BEFORE_THE_SCHEMA = "    Created:\n      type: object\n"
METHOD = '''\
    async def update(self, experiment_id: str, name: str) -> BaseExperiment:
        """Change the name of an experiment.

        >>> experiment = await client.update(experiment_id, "mnist again")

        :param str experiment_id: Experiment ID
        :param str name: the new name
        """
        body = ExperimentChanges(name=name)
        return await self._transport.call(
            lambda client: experiments_api.update_experiment.asyncio_detailed(experiment_id, client=client, body=body),
            lambda answer: experiments.experiment_from(answer.data),
        )

'''
BEFORE_THE_METHOD = "    async def delete(self, experiment_id: str)"
IMPORT = "from gradient_api.models import ExperimentChanges\n"
BEFORE_THE_IMPORT = "from gradient_api.parameters import ("
HANDLER = '''\
    def update_experiment(self, parameters: Parameters, body: Body) -> ApiResponse:
        """Change the name of an experiment."""
        experiment = self._store.get(parameters["handle"])
        if experiment is None:
            return EXPERIMENT_NOT_FOUND
        experiment.body["name"] = body["name"]
        return self.get_experiment(parameters, body)

'''
BEFORE_THE_HANDLER = "    def create_experiment(self"


def insert(path, *insertions):
    text = path.read_text(encoding="utf-8")
    for new, before in insertions:
        assert text.count(before) == 1
        text = text.replace(before, new + before)
    path.write_text(text, encoding="utf-8")


def test_a_new_operation_needs_a_method_and_a_handler(new_copy):
    """It works in both clients, is validated and documented, and the contract tests try it."""
    project = new_copy()
    client = project.root / "gradient_ext" / "async_client.py"
    server = project.root / "gradient_server" / "api" / "operations.py"

    insert(project.contract, (OPERATION, BEFORE_THE_OPERATION), (SCHEMA, BEFORE_THE_SCHEMA))
    generated = project.generate()
    assert "updateExperiment has no method of the client: nothing in async_" in generated.stdout
    assert "updateExperiment has no handler of the server: nothing in operations.py is called" in generated.stdout

    insert(client, (METHOD, BEFORE_THE_METHOD), (IMPORT, BEFORE_THE_IMPORT))
    insert(server, (HANDLER, BEFORE_THE_HANDLER))
    generated = project.generate()
    assert not generated.returncode, generated.stderr
    assert "updateExperiment" not in generated.stdout

    done = project.run(str(WALK))
    assert not done.returncode, done.stderr
    seen = json.loads(done.stdout)
    assert all(Path(file).is_relative_to(project.root) for file in seen["files"])
    assert seen["names"] == ["by the synchronous client", "by the asynchronous client"]
    assert seen["refusals"] == [[400, ["name"]], [400, ["name"]], [404, None]]
    assert "update(self, experiment_id: 'str', name: 'str')" in seen["help"]
    assert '>>> experiment = client.update(experiment_id, "mnist again")' in seen["help"]

    shutil.copytree(
        PROJECT / "tests", project.root / "tests", ignore=shutil.ignore_patterns("__pycache__", "node_modules")
    )
    shutil.copy(PROJECT / "pyproject.toml", project.root)
    chosen = ("-k", "PATCH or updateExperiment")
    tried = project.run(
        "-m", "pytest", "--quiet", "-p", "no:cacheprovider", "--examples", "5", "tests/contract", *chosen
    )
    assert not tried.returncode, tried.stdout
    assert " passed" in tried.stdout
