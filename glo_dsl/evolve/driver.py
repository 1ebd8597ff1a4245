"""A search from its configuration to its result, through the book of its study; see `ledger` for how it is resumed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

from glo_dsl.errors import GloError
from glo_dsl.evolve.baseline import baseline_of, check_search, classes_of
from glo_dsl.evolve.checkpoint import Checkpoints, State
from glo_dsl.evolve.config import Config
from glo_dsl.evolve.evaluator import PartName, remember
from glo_dsl.evolve.funnel import KNOWN, Funnel, Verdict
from glo_dsl.evolve.ledger import Ledger
from glo_dsl.evolve.progress import CONSTANTS, SEARCHING, STAGES, Leader, Progress
from glo_dsl.evolve.request import Measured, Request, Schedule, key_of, key_of_slopes
from glo_dsl.evolve.space import space_of
from glo_dsl.evolve.store.rows import Candidate
from glo_dsl.evolve.strategies.named import strategy_named
from glo_dsl.evolve.strategies.starts import starts_on_record
from glo_dsl.evolve.strategies.states import read_digests, written_digests
from glo_dsl.evolve.tally import Tally
from glo_dsl.evolve.tasks.task import Task
from glo_dsl.evolve.trained import Trained, complexity_of, front
from glo_dsl.evolve.tuning import Finalist
from glo_dsl.evolve.uphill import hill_of
from glo_dsl.evolve.verify import Outcome, verified
from glo_dsl.evolve.work import Hill, Judged, Proposal, Strategy, Told
from glo_dsl.ir.expr import Expr, size
from glo_dsl.lang.loss import Loss
from glo_dsl.lang.restate import restated
from glo_dsl.lang.show import show


class Search:
    """One search. `run` may be called on a study in any state: it goes on where the book ends."""

    def __init__(
        self, config: Config, task: Task, ledger: Ledger, report: Callable[[Progress], None] = lambda _: None
    ) -> None:
        """
        Raises:
            GloError: the space does not fit the task, or the strategy's options make no sense.
        """
        self.config, self.task, self.ledger, self._report = config, task, ledger, report
        self.tally = Tally()
        self.counts = self.tally.counts
        self._stage = SEARCHING, 0, config.trainings
        self._front: tuple[Leader, ...] = ()
        self.trained: dict[bytes, Trained] = {}
        self._met: set[bytes] = set()
        self._trouble = ""
        loss, classes = check_search(config, task), classes_of(task)
        self._funnel = Funnel(classes)
        self.baseline = baseline_of(task)
        self._unit = self._funnel.peek(self.baseline)
        self._made = partial(strategy_named, config.strategy, config.strategy_options, loss, config.seed, classes)
        self.space = space_of(loss) if loss.holes else None
        self._checkpoints = Checkpoints(ledger.study)

    @cached_property
    def _strategy(self) -> Strategy:
        return self._made(partial(starts_on_record, self.ledger))

    @property
    def steps(self) -> tuple[int, ...]:
        """After how many steps a candidate is judged."""
        whole = self.config.steps or self.task.recipe.steps
        return tuple(dict.fromkeys(max(1, round(share * whole)) for share in self.config.rungs))

    def run(self) -> Outcome:
        """The strategy until its end or that of its budget, then the winners again."""
        self.propose()
        return verified(self, self._leaders())

    def propose(self) -> None:
        """The strategy until its end or that of its budget."""
        number = self._generations
        self.tell()  # the first unit may take its time
        while self.ledger.trainings < self.config.trainings:
            proposals = self._strategy.ask()
            if not proposals:
                break
            told = self._generation(number, proposals)
            self._strategy.tell(told)
            self.ledger.record("tell", self._written(told))
            self.tally.told(number, told)
            self._show_front()
            number += 1
            self.tell()
            self._checkpoints.offer(number, self._state)
        self._checkpoints.offer(number, self._state, last=True)

    @property
    def _generations(self) -> int:
        """How many the strategy was told about."""
        last = self.tally.generation
        return 0 if last is None else last.number + 1

    def _show_front(self) -> None:
        self._front = tuple(trained.shown for trained in front(self.trained.values()))

    def _state(self) -> State | None:
        strategy = self._strategy.state()
        return None if strategy is None else {
            "strategy": strategy, "book": self.ledger.state(), "tally": self.tally.state(),
            "trained": [trained.written for trained in self.trained.values()],
            "met": written_digests(self._met - {b""}), "trouble": self._trouble,
        }  # fmt: skip

    def skip(self) -> None:
        """Goes to the last checkpoint of the study, if it has one; before `run`.

        Raises:
            *USELESS: there is one, and it is of no use; neither is this search then, nor its ledger.
        """
        state = self._checkpoints.last()
        if state is not None:
            self._strategy.restore(state["strategy"])
            self.ledger.jump(state["book"])
            self.tally.restore(state["tally"])
            trained = [Trained.read(written) for written in state["trained"]]
            self.trained = {one.verdict.key: one for one in trained}
            self._met = read_digests(state["met"])
            self._trouble = str(state["trouble"])
            self._show_front()

    def _written(self, told: Sequence[Told]) -> dict[str, Any]:
        """As the book has it."""
        found = {"fitness": [t.fitness for t in told], "reasons": [t.reason for t in told]}
        return found | ({"robustness": [t.robustness for t in told]} if self.config.attack else {})

    @property
    def fates(self) -> tuple[tuple[str, int], ...]:
        """What became of the proposals, and of expressions that the strategy bred and did not ask about."""
        return tuple((self.counts + self._strategy.dropped).items())

    def say(self, stage: str, done: int = 0, total: int = 1) -> None:
        """Reports a step of what comes after the strategy."""
        self._stage = stage, done, total
        self.tell()

    def tell(self) -> None:
        """Reports what is known now: after a step, a generation, or a unit of work."""
        (stage, done, total), book = self._stage, self.ledger
        self._report(Progress(
            stage, min(book.finished, total) if stage == SEARCHING else done, total,
            stages=tuple(s for s in STAGES if s != CONSTANTS or self.config.tune_generations),
            units=book.units,
            best=self._front[-1].fitness if self._front else None,
            counts=self.fates,
            untrained=self.tally.untrained + self._strategy.dropped.total(),
            trainings=book.finished,
            fresh=book.fresh,
            front=self._front,
            agreement=self.tally.agreement,
            generation=self.tally.generation,
            workers=book.workers,
            replayed=book.replayed,
        ))  # fmt: skip

    def _generation(self, number: int, proposals: Sequence[Proposal]) -> list[Told]:
        alone = self.judged([p.loss for p in proposals])
        verdicts = self._new(alone)
        requests, owners = [], []
        for place, (proposal, verdict) in enumerate(zip(proposals, verdicts)):
            if verdict.reason in (None, KNOWN):
                for rate in self.rates_of(verdict):
                    requests.append(self.request(proposal.loss, verdict, rate, hill=proposal.hill))
                    owners.append(place)
        note: dict[str, Any] = {"generation": number, "verdicts": [v.written for v in alone]}
        if self._strategy.dropped:
            note["dropped"] = dict(self._strategy.dropped)
        hill = any(p.hill for p in proposals)
        rungs = self.steps[-1:] if hill else self.steps
        attack = 0.0 if hill else self.config.attack
        schedule = Schedule(self.config.seeds("search"), rungs, "validation", self.config.keep, hill, attack)
        found = self.ledger.evaluate(
            "search", requests, schedule, lambda: [_candidate(p, v) for p, v in zip(proposals, verdicts)], note
        )
        self.tally.trained(len(proposals), owners, requests, found, self.ledger.begun, self.steps[-1])
        best: dict[int, tuple[Request, Measured]] = {}
        for place, request, measured in zip(owners, requests, found):
            if place not in best or measured.rank > best[place][1].rank:
                best[place] = request, measured
        return [self._told(p, v, best.get(n)) for n, (p, v) in enumerate(zip(proposals, verdicts))]

    def _told(self, proposal: Proposal, verdict: Verdict, best: tuple[Request, Measured] | None) -> Told:
        if best is None or best[1].fitness is None:
            reason = verdict.reason or (best[1].reason if best else "not trained")
            self.counts[verdict.reason or "failed"] += 1
            self._trouble = reason
            return Told(None, reason)
        request, measured = best
        self.counts[verdict.reason or "trained"] += 1
        assert measured.fitness is not None
        if verdict.key not in self.trained and measured.steps == self.steps[-1]:
            self.trained[verdict.key] = Trained.of(
                proposal, verdict, request.rate, measured.fitness, self.ledger.finished
            )
        hill = self.hill(proposal.loss, measured, self.config.rates == "scaled") if proposal.hill else None
        return Told(measured.fitness, verdict.reason or "", hill, measured.robustness)

    def hill(self, loss: Loss, measured: Measured, scaled: bool) -> Hill | None:
        """Which way the constants of a loss lead up; `scaled` says whether its rate follows the scale of its
        gradient."""
        of_scale = self._funnel.slopes_of_scale(loss) if scaled else (0.0,) * len(loss.params)
        return hill_of(measured.slopes, len(measured.metric), of_scale)

    def judged(self, losses: Sequence[Loss]) -> list[Verdict]:
        """The funnel's verdicts on each loss by itself: those of the book, if it has them, for to judge takes
        milliseconds. They belong into the note of the evaluation that comes next, as `Verdict.written`."""
        stored = self.ledger.stored("ask")
        if stored is not None and len(stored.get("verdicts", ())) == len(losses):
            return [Verdict.read(text) for text in stored["verdicts"]]
        return [self._funnel.peek(loss) for loss in losses]

    def _new(self, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """The same, where a gradient that was met before is no new one."""
        found = []
        for verdict in verdicts:
            known = verdict.reason is None and verdict.key in self._met
            found.append(replace(verdict, reason=KNOWN) if known else verdict)
            self._met.add(verdict.key)
        return found

    def rates_of(self, verdict: Verdict) -> list[float]:
        """The learning rates that a candidate is tried at."""
        if self.config.rates == "task":
            return [self.task.recipe.rate]
        return [self.rate_for(verdict) * factor for factor in self.config.rate_factors]

    def rate_for(self, verdict: Verdict) -> float:
        """The learning rate at which the first steps are as long as the baseline's at the task's own rate."""
        return self.task.recipe.rate * self._unit.scale / verdict.scale

    def request(
        self, loss: Loss, verdict: Verdict, rate: float, part: PartName = "validation", hill: bool = False
    ) -> Request:
        """A training of a loss; what comes to the same has the same key. With `hill`, for a schedule with slopes."""
        if hill:
            return Request(key_of_slopes(restated(loss), rate, part), loss, rate)
        return Request(key_of(verdict.key, rate * verdict.largest, part), loss, rate)

    def peek(self, loss: Loss) -> Verdict:
        """The funnel's verdict on a loss by itself."""
        return self._funnel.peek(loss)

    def _leaders(self) -> list[Finalist]:
        """The best of all, the best of every size that is better than all smaller ones, and the front of the strategy.

        Raises:
            GloError: nothing was trained.
        """
        ranked = sorted(self.trained.values(), key=lambda t: t.rank)
        if not ranked:
            reason = self._trouble or next((word for word, _ in self._strategy.dropped.most_common(1)), "")
            hint = "whatever fills the hole has to lead, by its gradient, from the predictions to the label"
            if self.ledger.trainings >= self.config.trainings:
                hint = "give the search more trainings"
            raise GloError(f"no candidate could be trained{reason and ': '}{reason}", hint=hint)
        best = [*front(ranked), *self._strategys_front()]
        chosen = {t.verdict.key: t for t in (*ranked[: self.config.leaders], *best)}.values()
        answer = self._strategy.answer
        found = [Finalist(t.loss, t.verdict, t.rate, t.complexity, self._genotype(t.filling), t.seeds) for t in chosen]
        if answer is not None:
            verdict = self._funnel.peek(answer)
            if verdict.reason is None:
                found.append(Finalist(answer, verdict, self.rates_of(verdict)[0], size(answer.expr)))
        return found

    def _strategys_front(self) -> list[Trained]:
        """Those that the strategy holds to be the best by several objectives; by others they may have been trained."""
        found = []
        for genotype in self._strategy.front:
            assert self.space is not None
            loss = self.space.fill(genotype)
            verdict = self._funnel.peek(loss)
            if verdict.key in self.trained:
                twin = self.trained[verdict.key]
                rate = twin.rate * twin.verdict.largest / verdict.largest
                text, filling = restated(loss), show(genotype)
                remember(text, loss)
                found.append(replace(
                    twin, text=text, filling=filling, verdict=verdict, rate=rate, complexity=size(genotype)
                ))  # fmt: skip
        return found

    def _genotype(self, filling: str | None) -> Expr | None:
        return None if filling is None or self.space is None else self.space.read(filling)

    def order(self, leaders: Sequence[Finalist], measured: Sequence[Measured]) -> list[int]:
        """The places of leaders, those first that are to be reported."""
        each = zip(leaders, measured, strict=True)
        return list(self._strategy.order([Judged(f.loss, f.complexity, m.worth, m.robustness) for f, m in each]))


def _candidate(proposal: Proposal, verdict: Verdict) -> Candidate:
    origin: dict[str, Any] = {"origin": proposal.origin, "parents": list(proposal.parents), **proposal.notes}
    return Candidate(
        restated(proposal.loss), origin, verdict.key or None, complexity_of(proposal), verdict.reason or ""
    )
