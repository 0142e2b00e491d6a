"""Which runs are combined."""

from types import SimpleNamespace

from undertone_training.evaluation.results import Cost, Outcome, same_folds


def test_seeds_that_were_tested_on_other_folds_are_not_averaged() -> None:
    def tested(seed: int, split: str) -> Outcome:
        run = SimpleNamespace(info=SimpleNamespace(seed=seed, split=split))
        return Outcome(run, "speaker-independent", {}, Cost(1, 1, 1, 1.0))  # type: ignore[arg-type]

    group = [tested(0, "a"), tested(1, "b"), tested(1, "a"), tested(2, "a"), tested(2, "b")]
    kept, reasons = same_folds(group)
    assert [[each.run.info.seed for each in runs] for runs in kept] == [[1, 1], [2, 2]]
    assert reasons == ["seed 0 is left out of the mean: it has a, and seed 1 has a, b"]
