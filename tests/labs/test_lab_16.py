"""Lab 16: by hand as in the package, the law's identity, what a fit can't see, and each forecast's worker."""

import pytest
from reading import defined

import ddl_lab as lab
from ddl_lab.forecast import laws, price, steps


class Silent:
    """A question that nobody answers."""

    def reveal(self, *told, **more):
        pass

    then = reveal


BY_HAND = defined("16", "s16-setup", "s16-strong", "s16-laws", "s16-bill", guess_thousand=Silent())
BATCH, S, RING = (BY_HAND[name] for name in ("BATCH", "S", "ring"))


@pytest.mark.parametrize("nodes", [1, 7, 64])
def test_seconds_by_hand_are_the_packages_and_a_simulations(nodes):
    by_hand = BY_HAND["by_hand"](nodes)
    assert by_hand == pytest.approx(steps.step_s(RING, nodes, BATCH, S), rel=1e-4)
    simulated = lab.simulate(BY_HAND["shared"], nodes, cluster=RING)
    assert simulated.elapsed_s == pytest.approx(by_hand, rel=1e-4)
    assert BY_HAND["node_seconds"](simulated) == price.node_seconds(simulated)


def test_a_ring_scales_by_the_law_whose_coefficients_are_its_link():
    sigma, kappa = laws.of_ring(BATCH / 10_000, S, RING.latency_s, RING.bandwidth_bytes_per_s)
    for nodes, times in BY_HAND["speedup"].items():
        assert times == pytest.approx(BY_HAND["usl"](nodes, sigma, kappa), rel=1e-3)
    assert max(BY_HAND["speedup"], key=BY_HAND["speedup"].get) == 256


def test_scatter_hides_the_peak_from_a_fit_on_few_nodes():
    names = defined("16", "s16-setup", "s16-strong", "s16-noise", guess_noise=Silent())
    assert all(times > 2 * BY_HAND["speedup"][1024] for times, _ in names["told"])


def test_scatter_costs_most_of_its_price_on_few_nodes():
    """Weak scaling: undisturbed by the formula; with jitter a step takes what its slowest node takes."""
    found = defined(
        "16", "s16-setup", "s16-strong", "s16-scatter-run",
        guess_thousand=Silent(),
    )  # fmt: skip
    calm, scattered = found["calm_s"], found["scattered_s"]
    for nodes, seconds in calm.items():
        assert nodes * 64e-4 / seconds == pytest.approx(steps.weak(RING, nodes, 64, S), rel=5e-3)
    late = {nodes: scattered[nodes] - calm[nodes] for nodes in calm}
    assert late[2] < late[4] < late[8] < late[16] < late[64] < 2 * late[8]


def test_the_smallest_buckets_are_one_a_layer_and_the_largest_is_one():
    found = defined("16", "s16-setup", "s16-overlap-run")
    layers = found["layers"]
    assert [len(found["cut"](layers(), 1e6 * mb)) for mb in (0.001, 10)] == [10, 1]


def test_another_algorithm_overturns_a_fit_that_was_perfect_where_it_was_made():
    auto = lab.Cluster(algorithm="auto")
    truth = {n: BY_HAND["seconds"](auto, 1) / BY_HAND["seconds"](auto, n) for n in BY_HAND["speedup"]}
    found, _ = BY_HAND["fitted"](truth)
    assert all(found["USL"][n] == pytest.approx(truth[n], rel=2e-3) for n in (2, 4, 8, 16))
    assert truth[1024] > 5 * found["USL"][1024]


@pytest.mark.parametrize("nodes", [1, 2, 4])
def test_each_worker_that_is_predicted_charges_what_its_cluster_takes(nodes):
    """On a cluster twice as fast, with free messages, each takes half as long."""
    jobs = defined("16", "s16-setup", "s16-jobs")["jobs"]
    for name, took_s in {
        name: [
            lab.simulate(*_job(jobs, name, nodes, cluster), cluster=cluster).elapsed_s
            for cluster in (_free(1.0), _free(2.0))
        ]
        for name in jobs(nodes, _free(1.0))
    }.items():
        assert took_s[0] == pytest.approx(2 * took_s[1]), name


def test_the_explorers_picture_has_many_counts_and_a_price():
    picture = defined(
        "16", "s16-setup", "s16-strong", "s16-laws", "s16-explore-picture", guess_thousand=Silent()
    )["picture"]
    figure, words = picture()
    drawn = {line.get_label(): list(line.get_xdata()) for line in figure.axes[0].lines}
    assert drawn["what was fitted"] == [1, 2, 4, 8, 16] and drawn["what is so"][-1] == 1024
    assert "dollars" in words and "peak at 256 nodes" in words


@pytest.mark.parametrize("link", ["data centre", "fast fabric", "office", "edge"])
@pytest.mark.parametrize("algorithm", ["ring", "auto"])
def test_the_explorer_draws_at_every_end_of_its_controls(link, algorithm):
    names = defined(
        "16", "s16-setup", "s16-strong", "s16-laws", "s16-explore-picture", guess_thousand=Silent()
    )
    model = max(names["MODELS"].values())
    for measured, rent in ((4, 1), (64, 1024)):
        figure, words = names["picture"](measured, rent, model, names["LINKS"][link], algorithm)
        assert figure.axes and words.startswith(f"{rent} node" if rent == 1 else "1,024 node")


def _free(speed):
    return lab.Cluster(
        speeds=5_000 * speed, flops_per_s=4e9 * speed, latency_s=0.0, bandwidth_bytes_per_s=1e18
    )


def _job(jobs, name, nodes, cluster):
    worker, args = jobs(nodes, cluster)[name]
    return (lambda node: worker(node, *args)), nodes
