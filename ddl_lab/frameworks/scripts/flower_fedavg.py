"""Flower: clients keep their rows and send weights; a strategy on the server takes the mean of those."""

import os

from flwr.client import ClientApp, NumPyClient
from flwr.common import ndarrays_to_parameters, parameters_to_ndarrays
from flwr.server import ServerApp, ServerAppComponents, ServerConfig
from flwr.server.strategy import FedAvg
from flwr.simulation import run_simulation
from lesson import batch, first_weights, flat, forward_backward, report, step_by, steps

world = int(os.environ["WORLD_SIZE"])


class Client(NumPyClient):
    """One step on its own rows, a round; all clients weigh the same."""

    def __init__(self, rank):
        self.rank = rank

    def fit(self, parameters, config):
        weights = [w.copy() for w in parameters]
        loss, gradient = forward_backward(weights, *batch(self.rank, world, config["round"] - 1))
        step_by(weights, flat(gradient))
        return weights, 1, {"rank": self.rank, "loss": loss}


class Kept(FedAvg):
    """FedAvg, which also keeps what the clients tell."""

    def aggregate_fit(self, server_round, results, failures):
        assert not failures, failures
        for _, told in results:
            losses[told.metrics["rank"]].append(told.metrics["loss"])
        found = super().aggregate_fit(server_round, results, failures)
        if server_round == steps(world):
            for rank in range(world):
                report(
                    rank, len(results), losses[rank], parameters_to_ndarrays(found[0]) if rank == 0 else None
                )
        return found


losses = [[] for _ in range(world)]
everyone = {"fraction_fit": 1.0, "min_fit_clients": world, "min_available_clients": world}
strategy = Kept(
    **everyone,
    fraction_evaluate=0.0,
    initial_parameters=ndarrays_to_parameters(list(first_weights())),
    on_fit_config_fn=lambda server_round: {"round": server_round},
)
if __name__ == "__main__":
    rounds = ServerConfig(num_rounds=steps(world))
    server = ServerApp(server_fn=lambda context: ServerAppComponents(strategy=strategy, config=rounds))
    client = ClientApp(client_fn=lambda c: Client(int(c.node_config["partition-id"])).to_client())
    ray = {"num_cpus": world, "include_dashboard": False, "object_store_memory": 200_000_000}
    ray["_temp_dir"] = os.environ["DDL_LAB_TASK"]
    run_simulation(server, client, world, backend_config={"init_args": ray})
