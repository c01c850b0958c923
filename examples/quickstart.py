"""All methods of the client: list, create, start, follow logs, run, stop, multi node, wait, get.

Run `make serve ARGS='--time-scale 5'`, paste the lines that it prints into another terminal, and start this file there.
Its runs are simulated.
"""

from gradient import BaseExperiment, ExperimentFailedError, ExperimentsClient, constants

PROJECT = "prquickstart"

SINGLE_NODE = {
    "name": "single node from the quickstart",
    "project_id": PROJECT,
    "command": "python mnist.py",
    "machine_type": "K80",
    "container": "tensorflow/tensorflow:1.13.1-gpu-py3",
    "experiment_env": {"EPOCHS_EVAL": 2, "TRAIN_EPOCHS": 3, "MAX_STEPS": 100, "EVAL_SECS": 10},
    "workspace_url": "https://github.com/Paperspace/mnist-sample.git",
    "model_type": "Tensorflow",
    "model_path": "/storage/models/quickstart",
}

MULTI_NODE = {
    "name": "multi node from the quickstart",
    "project_id": PROJECT,
    "experiment_type_id": "GRPC",
    "worker_container": "tensorflow/tensorflow:1.13.1-gpu-py3",
    "worker_machine_type": "K80",
    "worker_command": "pip install -r requirements.txt && python mnist.py",
    "worker_count": 2,
    "parameter_server_container": "tensorflow/tensorflow:1.13.1-gpu-py3",
    "parameter_server_machine_type": "K80",
    "parameter_server_command": "python mnist.py",
    "parameter_server_count": 1,
    "workspace_url": "https://github.com/Paperspace/mnist-sample.git",
    "experiment_env": {"GRADIENT_MOCK_LOG_LINES": 4},
}


def main() -> None:
    with ExperimentsClient() as client:
        heading("List the experiments of the project")
        show(client.list([PROJECT]))

        heading("Create a single node experiment from a dictionary")
        experiment_id = client.create_single_node(**SINGLE_NODE)
        print(f"  created {experiment_id}, which is {word(client.state(experiment_id))}")

        heading("Start it and follow its logs until they end")
        client.start(experiment_id)
        follow(client, experiment_id)

        heading("Run another one, and stop it")
        experiment_id = client.run_single_node(**SINGLE_NODE)
        print(f"  running {experiment_id}, which is {word(client.state(experiment_id))}")
        client.stop(experiment_id)
        print(f"  stopped {experiment_id}, which is {word(client.state(experiment_id))}")

        heading("Run a multi node experiment: two workers and a parameter server, by GRPC")
        experiment_id = client.run_multi_node(**MULTI_NODE)
        follow(client, experiment_id)

        heading("Create one that talks by MPI")
        experiment_id = client.create_multi_node(**{**MULTI_NODE, "experiment_type_id": "MPI"})
        print(f"  created {experiment_id}, which is {word(client.state(experiment_id))}")

        heading("Run one that fails, and wait for it")
        experiment_id = client.run_single_node(**{**SINGLE_NODE, "experiment_env": {"GRADIENT_MOCK_OUTCOME": "failed"}})
        try:
            client.wait(experiment_id, on_state=lambda state: print(f"  {experiment_id} is {word(state)}", flush=True))
        except ExperimentFailedError as error:
            print(*(f"  {line}" for line in str(error).splitlines()), sep="\n")

        heading("Get it, and print it")
        print(f"  {client.get(experiment_id)}")

        heading("List the experiments of the project again")
        show(client.list(PROJECT))


def heading(text: str) -> None:
    print(f"\n{text}")


def word(state: int) -> str:
    return constants.ExperimentState.get_state_str(state)


def follow(client: ExperimentsClient, experiment_id: str) -> None:
    rows = 0
    for row in client.yield_logs(experiment_id):
        rows += 1
        print(f"  {row.job_id}  {row.line:>4}  {row.message}", flush=True)
    print(f"  {rows} rows; {experiment_id} is {word(client.state(experiment_id))}")


def show(experiments: list[BaseExperiment]) -> None:
    if not experiments:
        print("  none")
    for experiment in experiments:
        kind = constants.ExperimentType.get_type_str(experiment.experiment_type_id)
        print(f"  {experiment.id:<16}{kind:<18}{word(experiment.state):<18}{experiment.name}")


if __name__ == "__main__":
    main()
