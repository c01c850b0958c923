"""Mistakes of users. Type checkers refuse the statements that are marked, and no other."""

from gradient import (  # refused
    AsyncExperimentsClient,
    ExperimentsClient,
    MultiNodeParameters,
    ProjectsClient,
    SingleNodeParameters,
    constants,
    unheard_of,
)

client = ExperimentsClient()

# Dictionaries: a misspelt key, a wrong type, required ones that are missing, a value in a value.
misspelt: SingleNodeParameters = {
    "name": "mnist",
    "project_id": "prlvf0u05",
    "machine_typo": "K80",  # refused
    "machine_type": "K80",
    "command": "python mnist.py",
    "container": "tensorflow/tensorflow",
}
wrong_type: SingleNodeParameters = {
    "name": "mnist",
    "project_id": "prlvf0u05",
    "machine_type": 80,  # refused
    "command": "python mnist.py",
    "container": "tensorflow/tensorflow",
}
missing: SingleNodeParameters = {"name": "mnist", "project_id": "prlvf0u05", "command": "true"}  # refused
wrong_member: SingleNodeParameters = {
    "name": "mnist",
    "project_id": "prlvf0u05",
    "machine_type": "K80",
    "command": "python mnist.py",
    "container": "tensorflow/tensorflow",
    "experiment_env": {"EPOCHS": [1, 2]},  # refused
}
multi_missing: MultiNodeParameters = {"name": "mnist", "project_id": "prlvf0u05"}  # refused

# Dictionaries that are right, and what is done with them later.
single: SingleNodeParameters = {
    "name": "mnist",
    "project_id": "prlvf0u05",
    "machine_type": "K80",
    "command": "python mnist.py",
    "container": "tensorflow/tensorflow",
}
single["machine_typo"] = "K80"  # refused
single["command"] = 5  # refused
single["tags"] = [5]  # refused
client.run_multi_node(**single)  # refused
client.create_single_node(**{"name": "mnist", "project_id": 5})  # refused

# Calls.
client.add_tags("es1", 5)  # refused
client.set_note("es1")  # refused
client.create_single_node(
    name="mnist",
    project_id="prlvf0u05",
    machine_typo="K80",  # refused
    machine_type="K80",
    command="python mnist.py",
    container="tensorflow/tensorflow",
)
client.run_single_node(
    name="mnist",
    project_id="prlvf0u05",
    machine_type="K80",
    command=["python", "mnist.py"],  # refused
    container="tensorflow/tensorflow",
)
client.run_single_node(name="mnist", project_id="prlvf0u05", machine_type="K80", command="true")  # refused
client.create_multi_node(name="mnist", project_id="prlvf0u05", experiment_type_id="MPI")  # refused
client.create_single_node("mnist", **single)  # refused

# The other methods, their results, and attributes.
ExperimentsClient(api_token="a key")  # refused
client.start(5)  # refused
client.get()  # refused
client.list(limit="10")  # refused
client.metrics("esxfbgzu7xanst", 5)  # refused
client.metrics("esxfbgzu7xanst")["loss"]  # refused
client.wait("esxfbgzu7xanst", until=4.5)  # refused
client.wait("esxfbgzu7xanst", on_state=lambda state: state.upper())  # refused
client.with_options(time_out=5)  # refused
client.restart("esxfbgzu7xanst")  # refused
number: int = client.create_single_node(**single)  # refused
number = client.state("esxfbgzu7xanst")
text: str = client.get("esxfbgzu7xanst").state  # refused
client.get("esxfbgzu7xanst").machine_typo  # refused
client.get("esxfbgzu7xanst").name.upper()  # refused
for row in client.yield_logs("esxfbgzu7xanst"):
    row.text  # refused
    row.message = "frozen"  # refused
constants.ExperimentState.GONE  # refused


async def main(client: AsyncExperimentsClient) -> None:
    """Use the asynchronous client wrongly."""
    await client.create_single_node(**missing)
    await client.run_single_node(name="mnist", project_id="prlvf0u05", machine_type="K80", command="true")  # refused
    client.get("esxfbgzu7xanst").state  # refused
    list(client.yield_logs("esxfbgzu7xanst"))  # refused
    client.__enter__()  # refused


projects = ProjectsClient(base_url="https://api.example.com")  # refused
projects = ProjectsClient()
projects.create()  # refused
projects.create("mnist", repository="mnist-sample")  # refused
projects.get("prlvf0u05").title  # refused

# Uploads: no folder, one that is no path, patterns that are none.
client.upload_workspace()  # refused
client.upload_workspace(5)  # refused
client.upload_workspace(".", ignore_files=[5])  # refused

# Downloads: no folder, one that is no path.
client.download("es1")  # refused
client.download("es1", 5)  # refused
